// The comparison report: header, metric groups, legends, still images, metric definitions and the run record.

const data = JSON.parse(byId("data").textContent);
const systems = data.rows.filter(row => row.protocol !== "baseline");
const initial = mostOftenBest(systems);
assignStyles(data, systems, initial);
const rowsWithCurves = data.rows.filter(row => Object.keys(row.curves).length);
const table = new Table(byId("table"), data);
let plots = [];

function writeHeader() {
  byId("name").textContent = data.heading;
  byId("summary").textContent = `${counted(data.people, "person", "people")} in ${counted(data.clips, "clip")} of `
    + `${counted(data.dialogues, "dialogue")}, ${data.minutes} min of motion, expression space “${data.space}”`;
  writeNotes(data.notes);
}

function writeGroups() {
  const measured = data.groups.filter(group => table.columns(group).length);
  byId("groups").append(...measured.map(group => {
    const button = element("button", { type: "button", textContent: group });
    button.addEventListener("click", () => showGroup(group));
    return button;
  }));
}

function showGroup(group) {
  for (const button of byId("groups").children) button.ariaPressed = String(button.textContent === group);
  table.show(group);
  byId("plots").replaceChildren();
  plots = table.columns().map(({ metric, index }) => new DotPlot(byId("plots"), data, metric, index));
  for (const plot of plots) plot.draw();
}

function makeCurves() {
  byId("curves-section").hidden = !rowsWithCurves.length;
  const kinds = [...new Set(rowsWithCurves.flatMap(row => Object.keys(row.curves)))];
  return kinds.flatMap(kind =>
    Object.keys(data.quantities).map(quantity => new CurvePlot(byId("curves"), data, kind, quantity)));
}

function makeRasters() {
  byId("rasters-section").hidden = !data.timelines.length;
  const kinds = new Set(data.timelines.flatMap(one => one.people.flatMap(person =>
    person.rows.flatMap(row => row.events.map(([kind]) => kind)))));
  const entries = [["own", "speaks"], ["partner", "partner speaks"],
    ...KINDS.filter(kind => kinds.has(kind)).map(kind => [kind, kind])];
  byId("rasters-legend").append(...entries.map(([colour, text]) =>
    element("span", {}, element("i", { style: `background:var(--${colour})` }), text)),
  "Vertical lines: role transitions; dotted: overlaps and backchannels.");
  return data.timelines.flatMap(timeline =>
    timeline.people.map(person => new Raster(byId("rasters"), timeline, person)));
}

function writeStrips() {
  byId("strips-section").hidden = !data.strips.length;
  byId("strips").append(...data.strips.map(strip => {
    const picture = element("div", { className: "picture" },
      element("img", { src: strip.image, alt: `Ground truth above, ${strip.system} below` }),
      element("span", { className: "label", textContent: "ground truth", style: "bottom:calc(50% + 6px)" }),
      element("span", { className: "label", textContent: "system", style: "bottom:6px" }));
    const times = strip.timesS.map(timeS =>
      element("span", { textContent: `${timeS > 0 ? "+" : ""}${timeS.toFixed(1).replace("-", "−")} s` }));
    const figure = element("figure", { className: "strip" }, picture,
      element("div", { className: "times" }, ...times),
      element("figcaption", {}, element("b", { textContent: strip.system }),
        ` ${strip.clip}, speaker ${strip.speaker}, ${strip.kind} at ${strip.timeS.toFixed(1)} s; `
        + `error ${strip.distance} × the variance of the ground truth`));
    figure.dataset.system = strip.system;
    return figure;
  }));
}

function writeMetrics() {
  const list = element("dl", {});
  for (const metric of data.metrics)
    list.append(element("dt", { textContent: metric.name }), element("dd", { textContent:
      `${metric.formula}${metric.unit ? `; ${metric.unit}` : ""}; better: ${metric.directionText}. ${metric.source}` }));
  byId("metrics").append(list);
}

// Applies the selection of systems to curves, events and still images; the table and the plots show all systems.
function drawSelected() {
  const isSelected = name => name === data.groundTruth || selection.has(name);
  byId("curves-legend").replaceChildren(...rowsWithCurves.filter(row => isSelected(row.name)).map(row =>
    legendEntry("span", row)));
  for (const one of [...curves, ...rasters]) one.draw(isSelected);
  for (const strip of byId("strips").children) strip.hidden = !isSelected(strip.dataset.system);
}

function drawAll() {
  for (const plot of plots) plot.draw();
  drawSelected();
}

writeHeader();
writeGroups();
writeStrips();
writeMetrics();
writeRun(data.run);
const curves = makeCurves(), rasters = makeRasters();
const selection = new SystemSelection(byId("systems"), systems, initial, drawSelected);
showGroup(data.groups[0]);
drawAll();
let width = document.body.clientWidth;
addEventListener("resize", () => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  scheduleDraw(drawAll);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
