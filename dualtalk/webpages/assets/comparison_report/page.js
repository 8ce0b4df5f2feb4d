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

function writeFamilies() {
  const measured = data.families.filter(family => table.columns(family).length);
  byId("families").append(...measured.map(family => {
    const button = element("button", { type: "button", textContent: family });
    button.addEventListener("click", () => showFamily(family));
    return button;
  }));
}

function showFamily(family) {
  for (const button of byId("families").children) button.ariaPressed = String(button.textContent === family);
  table.show(family);
  byId("plots").replaceChildren();
  plots = table.columns().map(({ measure, index }) => new DotPlot(byId("plots"), data, measure, index));
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

function writeMeasures() {
  const list = element("dl", {});
  for (const measure of data.measures)
    list.append(element("dt", { textContent: measure.name }), element("dd", { textContent:
      `${measure.formula}${measure.unit ? `; ${measure.unit}` : ""}; better: ${measure.wantedText}. ${measure.source}` }));
  byId("measures").append(list);
}

// Applies the selection of systems to curves, events and still images; the table and the plots show all systems.
function drawSelected() {
  const isShown = name => name === data.reference || selection.has(name);
  byId("curves-legend").replaceChildren(...rowsWithCurves.filter(row => isShown(row.name)).map(row =>
    legendEntry("span", row)));
  for (const one of [...curves, ...rasters]) one.draw(isShown);
  for (const strip of byId("strips").children) strip.hidden = !isShown(strip.dataset.system);
}

function drawAll() {
  for (const plot of plots) plot.draw();
  drawSelected();
}

writeHeader();
writeFamilies();
writeStrips();
writeMeasures();
writeRun(data.run);
const curves = makeCurves(), rasters = makeRasters();
const selection = new SystemSelection(byId("systems"), systems, initial, drawSelected);
showFamily(data.families[0]);
drawAll();
let width = document.body.clientWidth;
addEventListener("resize", () => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  scheduleDraw(drawAll);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
