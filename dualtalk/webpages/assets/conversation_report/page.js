"use strict";

// The page itself: header, player, moments, figures; and what ties the charts to the video.

const byId = id => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const frames = data.curves[0].a.length;
const view = new View(data.durationS);
const video = byId("video");
let timeS = 0;

function loadVideo() {
  if (!data.video) return;
  video.hidden = false;
  if (data.video.embedded) {
    // A blob, since some browsers cannot seek in a data: address.
    const bytes = Uint8Array.from(atob(byId("video-base64").textContent), letter => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  } else {
    video.src = encodeURIComponent(data.video.file);
    byId("video-aside").hidden = false;
    byId("video-aside").textContent = `The video is too long to be kept in this page; it is read from `
      + `${data.video.file}, which belongs in the same folder.`;
  }
  video.addEventListener("seeked", () => moveTo(video.currentTime));
  video.addEventListener("play", () => requestAnimationFrame(tick));
}

function tick() {
  moveTo(video.currentTime);
  if (!video.paused) requestAnimationFrame(tick);
}

function moveTo(newS) {
  timeS = newS;
  if (!video.paused) view.follow(timeS);
  placePlayhead();
}

function seek(newS) {
  const wantedS = Math.min(Math.max(newS, 0), data.durationS);
  if (data.video) video.currentTime = wantedS;
  moveTo(wantedS);
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
  byId("summary").textContent = `${clockText(data.durationS)} of conversation, ${turns} `
    + `${turns === 1 ? "turn" : "turns"}, seed ${data.run.seed ?? "unknown"}`;
  if (data.viewer) {
    const link = element("a", { href: encodeURIComponent(data.viewer), textContent: "Look around in 3D" });
    byId("summary").append(" · ", link);
  }
  byId("notes").append(...(data.run.notes ?? []).map(note => element("li", { textContent: note })));
  const parts = [["a", "A speaks"], ["both", "both speak"], ["b", "B speaks"], ["nobody", "silence"]];
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
  const said = { a: new Uint8Array(frames), b: new Uint8Array(frames) };
  for (const person of PEOPLE)
    for (const [startS, endS] of data.speech[person])
      said[person].fill(1, Math.round(startS * data.fps), Math.round(endS * data.fps));
  const count = { a: 0, b: 0, both: 0, nobody: 0 };
  for (let frame = 0; frame < frames; frame++)
    count[said.a[frame] ? (said.b[frame] ? "both" : "a") : (said.b[frame] ? "b" : "nobody")]++;
  return Object.fromEntries(Object.entries(count).map(([who, n]) => [who, n / frames]));
}

// ---- moments and figures

function writeStrip() {
  byId("strip").append(...data.stills.map(still => {
    const button = element("button", { type: "button", title: "Go there" },
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

function figureCell(figure, person) {
  const value = figure[person];
  const [low, high] = figure.range ?? [null, null];
  const outside = value !== null && ((low !== null && value < low) || (high !== null && value > high));
  const text = numberText(value, figure.unit);
  return element("td", {
    className: outside ? "outside" : "",
    textContent: outside ? `${text} ${value < low ? "▼" : "▲"}` : text,
    title: outside ? "outside the range" : "",
  });
}

function writeFigures() {
  const head = element("tr", {}, ...["", "A", "B", "unit", "wanted"].map((text, column) =>
    element("th", { textContent: text, scope: "col", className: ["", "a", "b", "", ""][column] })));
  const table = element("table", {}, element("thead", {}, head));
  for (const [group, figures] of Object.entries(data.figures)) {
    const body = element("tbody", {},
      element("tr", {}, element("th", { textContent: group, colSpan: 5, scope: "rowgroup", className: "group" })));
    for (const [name, figure] of Object.entries(figures))
      body.append(element("tr", {},
        element("th", { textContent: name, scope: "row" }),
        figureCell(figure, "a"), figureCell(figure, "b"),
        element("td", { textContent: figure.unit === "share" ? "" : figure.unit, className: "unit" }),
        element("td", { textContent: rangeText(figure.range, figure.unit), className: "unit" })));
    if (Object.keys(figures).length) table.append(body);
  }
  byId("figures").append(element("h2", { textContent: "Figures" }), element("div", { className: "wide" }, table));
}

function writeRun() {
  const list = element("dl", {});
  const add = (key, value) => list.append(element("dt", { textContent: key }), element("dd", { textContent: value }));
  for (const [key, value] of Object.entries(data.run)) {
    if (key === "notes") continue;
    if (value && typeof value === "object" && !Array.isArray(value))
      for (const [inner, text] of Object.entries(value)) add(`${key}: ${inner}`, String(text));
    else add(key, Array.isArray(value) ? value.join(", ") : String(value));
  }
  byId("run").append(list);
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
  if (byId("hover").hidden) sayValues(timeS);
}

function sayValues(atS) {
  const frame = Math.min(Math.floor(atS * data.fps), frames - 1);
  for (const chart of charts) chart.say(frame);
}

function hover(atS, event) {
  byId("hover").hidden = tip.hidden = atS === null;
  if (atS === null) { sayValues(timeS); return; }
  byId("hover").style.transform = `translateX(${gestures.pixelOf(atS)}px)`;
  sayValues(atS);
  tip.replaceChildren(element("b", { textContent: clockText(atS, 2) }),
    ...happening(atS).map(text => element("div", { textContent: text })));
  const right = event.clientX > innerWidth - 260;
  tip.style.left = `${event.clientX + (right ? -tip.offsetWidth - 14 : 14)}px`;
  tip.style.top = `${event.clientY + 18}px`;
}

function happening(atS) {
  const seen = data.turns.filter(turn => turn.kind !== "utterance" && turn.start_s <= atS && atS < turn.end_s);
  return seen.map(turn => {
    const who = turn.person ? `${turn.person.toUpperCase()}: ` : "";
    const span = `${turn.kind}, ${(turn.end_s - turn.start_s).toFixed(2)} s`;
    if (turn.offset_s === null) return who + span;
    const how = turn.offset_s < 0 ? "before" : "after";
    return `${who}${span}, began ${Math.abs(turn.offset_s).toFixed(2)} s ${how} the other's end`;
  });
}

function writeLegend() {
  const entries = [["a", "A’s voice"], ["b", "B’s voice"], ["both", "both speak"], ["dashed", "backchannel"],
    ["gap", "nobody speaks between turns"]];
  byId("legend").append(...entries.map(([mark, text]) =>
    element("span", { className: "entry" }, element("i", { className: mark }), text)));
}

function drawView() {
  timeline.draw();
  overview.draw();
  for (const chart of charts) chart.draw();
  placePlayhead();
}

function rebuild() {
  for (const chart of charts) chart.build();
  drawView();
}

let pending = 0;
function soon(draw) {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(draw);
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
writeFigures();
writeRun();
loadVideo();
rebuild();
view.listeners.push(() => soon(drawView));
new ResizeObserver(() => soon(rebuild)).observe(stack);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
