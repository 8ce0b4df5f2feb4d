// The conversation report: header, video, still images, measures, and the connection of the charts to the video.

const data = JSON.parse(byId("data").textContent);
const frames = data.curves[0].a.length;
const view = new TimeWindow(data.durationS);
const video = byId("video");
let timeS = 0;

function loadVideo() {
  if (!data.video) return;
  video.hidden = false;
  if (data.video.embedded) {
    // A blob, because some browsers cannot seek in a data: URI.
    const bytes = Uint8Array.from(atob(byId("video-base64").textContent), letter => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  } else {
    video.src = encodeURIComponent(data.video.file);
    byId("video-aside").hidden = false;
    byId("video-aside").textContent = `The video is too large for this page. It is loaded from ${data.video.file}, `
      + `which must be in the same folder.`;
  }
  video.addEventListener("seeked", () => setTime(video.currentTime));
  video.addEventListener("play", () => requestAnimationFrame(tick));
}

function tick() {
  setTime(video.currentTime);
  if (!video.paused) requestAnimationFrame(tick);
}

function setTime(newS) {
  timeS = newS;
  if (!video.paused) view.follow(timeS);
  placePlayhead();
}

function seek(newS) {
  const targetS = Math.min(Math.max(newS, 0), data.durationS);
  if (data.video) video.currentTime = targetS;
  setTime(targetS);
}

function togglePlay() {
  if (!data.video) return;
  if (video.paused) video.play(); else video.pause();
}

// ---- header

function writeHeader() {
  byId("name").textContent = data.name;
  const turns = data.turns.filter(turn => turn.kind === "turn").length;
  const share = floorShares();
  byId("summary").textContent = `${clockText(data.durationS)} of conversation, ${counted(turns, "turn")}, `
    + `seed ${data.run.seed ?? "unknown"}`;
  if (data.viewer) {
    const link = element("a", { href: encodeURIComponent(data.viewer), textContent: "3D viewer" });
    byId("summary").append(" · ", link);
  }
  writeNotes(data.run.notes ?? []);
  const parts = [["a", "A speaks"], ["both", "overlap"], ["b", "B speaks"], ["nobody", "silence"]];
  byId("floor").append(...parts.map(([who, label]) => {
    const percent = Math.round(100 * share[who]);
    const text = percent >= 15 ? `${label} ${percent} %` : percent >= 5 ? `${percent} %` : "";
    return element("span", {
      className: who, textContent: text, style: `flex-grow:${share[who]}`, title: `${label} ${percent} %`,
    });
  }));
  byId("floor").ariaLabel = parts.map(([who, label]) => `${label} ${Math.round(100 * share[who])} %`).join(", ");
}

function floorShares() {
  const speaking = { a: new Uint8Array(frames), b: new Uint8Array(frames) };
  for (const person of PEOPLE)
    for (const [startS, endS] of data.speech[person])
      speaking[person].fill(1, Math.round(startS * data.fps), Math.round(endS * data.fps));
  const count = { a: 0, b: 0, both: 0, nobody: 0 };
  for (let frame = 0; frame < frames; frame++)
    count[speaking.a[frame] ? (speaking.b[frame] ? "both" : "a") : (speaking.b[frame] ? "b" : "nobody")]++;
  return Object.fromEntries(Object.entries(count).map(([who, n]) => [who, n / frames]));
}

// ---- highlights and measures

function writeStrip() {
  byId("strip").append(...data.stills.map(still => {
    const button = element("button", { type: "button", title: "Seek to this frame" },
      element("img", { src: still.image, alt: still.caption }),
      element("span", {}, element("b", { textContent: clockText(still.timeS, 1) }), ` ${still.caption}`));
    button.addEventListener("click", () => { seek(still.timeS); view.follow(still.timeS); });
    return button;
  }));
}

function numberText(value, unit) {
  if (value === null) return "–";
  if (unit === "share") return `${Math.round(100 * value)} %`;
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3);
}

function rangeText(range, unit) {
  if (!range) return "";
  const [low, high] = range.map(end => end === null || unit === "share" ? end : Number(end.toPrecision(2)));
  const text = end => unit === "share" ? numberText(end, unit) : String(end);
  if (high === null || high === 1) return `${text(low)} or more`;
  return low === 0 ? `${text(high)} or less` : `${text(low)} to ${text(high)}`;
}

function measureCell(row, person) {
  const value = row[person];
  const [low, high] = row.range ?? [null, null];
  const outside = value !== null && ((low !== null && value < low) || (high !== null && value > high));
  const text = numberText(value, row.unit);
  return element("td", {
    className: outside ? "outside" : "",
    textContent: outside ? `${text} ${value < low ? "▼" : "▲"}` : text,
    title: outside ? "outside the expected range" : "",
  });
}

function writeMetrics() {
  const head = element("tr", {}, ...["", "A", "B", "unit", "expected range"].map((text, column) =>
    element("th", { textContent: text, scope: "col", className: ["", "a", "b", "", ""][column] })));
  const table = element("table", {}, element("thead", {}, head));
  for (const [group, rows] of Object.entries(data.summary)) {
    const body = element("tbody", {},
      element("tr", {}, element("th", { textContent: group, colSpan: 5, scope: "rowgroup", className: "group" })));
    for (const [name, row] of Object.entries(rows))
      body.append(element("tr", {},
        element("th", { textContent: name, scope: "row" }),
        measureCell(row, "a"), measureCell(row, "b"),
        element("td", { textContent: row.unit === "share" ? "" : row.unit, className: "unit" }),
        element("td", { textContent: rangeText(row.range, row.unit), className: "unit" })));
    if (Object.keys(rows).length) table.append(body);
  }
  byId("metrics").append(element("h2", { textContent: "Metrics" }), element("div", { className: "wide" }, table));
}

// ---- charts

const stack = byId("stack"), tip = byId("tip");
const timeline = new Timeline(byId("timeline"), data, view);
const overview = new Overview(byId("overview"), data, view);
const times = Array.from({ length: frames }, (_, frame) => (frame + 0.5) / data.fps);
const charts = data.curves.map(curve => new CurveChart(byId("curves"), curve, times, view, 84));
const gestures = new Gestures(stack, byId("selection"), view, { onSeek: seek, onHover: hover });

function placePlayhead() {
  const x = gestures.pixelOf(timeS);
  byId("playhead").style.transform = `translateX(${x}px)`;
  byId("playhead").hidden = timeS < view.startS || timeS > view.endS;
  stack.ariaValueMax = data.durationS;
  stack.ariaValueNow = timeS;
  stack.ariaValueText = clockText(timeS, 1);
  if (byId("hover").hidden) showValues(timeS);
}

function showValues(atS) {
  const frame = Math.min(Math.floor(atS * data.fps), frames - 1);
  for (const chart of charts) chart.showValues(frame);
}

function hover(atS, event) {
  byId("hover").hidden = tip.hidden = atS === null;
  if (atS === null) { showValues(timeS); return; }
  byId("hover").style.transform = `translateX(${gestures.pixelOf(atS)}px)`;
  showValues(atS);
  tip.replaceChildren(element("b", { textContent: clockText(atS, 2) }),
    ...eventsAt(atS).map(text => element("div", { textContent: text })));
  const right = event.clientX > innerWidth - 260;
  tip.style.left = `${event.clientX + (right ? -tip.offsetWidth - 14 : 14)}px`;
  tip.style.top = `${event.clientY + 18}px`;
}

function eventsAt(atS) {
  const current = data.turns.filter(turn => turn.kind !== "utterance" && turn.start_s <= atS && atS < turn.end_s);
  return current.map(turn => {
    const who = turn.person ? `${turn.person.toUpperCase()}: ` : "";
    const span = `${turn.kind}, ${(turn.end_s - turn.start_s).toFixed(2)} s`;
    if (turn.offset_s === null) return who + span;
    const how = turn.offset_s < 0 ? "before" : "after";
    return `${who}${span}, onset ${Math.abs(turn.offset_s).toFixed(2)} s ${how} the partner's offset`;
  });
}

function writeLegend() {
  const entries = [["a", "A’s voice"], ["b", "B’s voice"], ["both", "overlap"], ["dashed", "backchannel"],
    ["gap", "gap between turns"]];
  byId("legend").append(...entries.map(([mark, text]) =>
    element("span", { className: "entry" }, element("i", { className: mark }), text)));
}

function drawCharts() {
  timeline.draw();
  overview.draw();
  for (const chart of charts) chart.draw();
  placePlayhead();
}

function rebuild() {
  for (const chart of charts) chart.build();
  drawCharts();
}

const KEYS = {
  " ": togglePlay,
  ArrowLeft: event => seek(timeS - (event.shiftKey ? 5 : 1)),
  ArrowRight: event => seek(timeS + (event.shiftKey ? 5 : 1)),
  ",": () => seek(timeS - 1 / data.fps),
  ".": () => seek(timeS + 1 / data.fps),
  "+": () => view.zoom(timeS, 0.6),
  "=": () => view.zoom(timeS, 0.6),
  "-": () => view.zoom(timeS, 1 / 0.6),
  0: () => view.show(0, data.durationS),
};

document.addEventListener("keydown", event => {
  const pressable = document.activeElement?.closest("button, summary") && event.key === " ";
  if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey || pressable) return;
  event.preventDefault();
  event.stopPropagation();
  KEYS[event.key](event);
}, true);

writeHeader();
writeLegend();
writeStrip();
writeMetrics();
writeRun({ ...data.run, notes: undefined });
loadVideo();
rebuild();
view.listeners.push(() => scheduleDraw(drawCharts));
new ResizeObserver(() => scheduleDraw(rebuild)).observe(stack);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
