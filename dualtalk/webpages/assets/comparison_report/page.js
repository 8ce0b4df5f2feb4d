"use strict";

// The page itself: header, families, legends, pictures, and what is said at the foot.

const data = JSON.parse(byId("data").textContent);
const systems = data.rows.filter(row => row.protocol !== "control");
const atFirst = oftenBest(systems);
giveLooks(data, systems, atFirst);
const curved = data.rows.filter(row => Object.keys(row.curves).length);
const table = new Table(byId("table"), data);
let plots = [];

function counted(count, one, more = `${one}s`) { return `${count.toLocaleString("en")} ${count === 1 ? one : more}`; }

function writeHeader() {
  byId("name").textContent = data.heading;
  byId("summary").textContent = `${counted(data.people, "person", "people")} in ${counted(data.clips, "clip")} of `
    + `${counted(data.dialogues, "dialogue")}, ${data.minutes} min of motion in space “${data.space}”`;
  byId("notes").append(...data.notes.map(note => element("li", { textContent: note })));
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
  byId("curves-section").hidden = !curved.length;
  const kinds = [...new Set(curved.flatMap(row => Object.keys(row.curves)))];
  return kinds.flatMap(kind =>
    Object.keys(data.quantities).map(quantity => new CurvePlot(byId("curves"), data, kind, quantity)));
}

function makeRasters() {
  byId("rasters-section").hidden = !data.timelines.length;
  const seen = new Set(data.timelines.flatMap(one => one.people.flatMap(person =>
    person.rows.flatMap(row => row.events.map(([kind]) => kind)))));
  const entries = [["own", "speaks"], ["partner", "partner speaks"],
    ...KINDS.filter(kind => seen.has(kind)).map(kind => [kind, kind])];
  byId("rasters-legend").append(...entries.map(([colour, text]) =>
    element("span", {}, element("i", { style: `background:var(--${colour})` }), text)),
  "Upright lines: changes of role; dotted: overlaps and backchannels.");
  return data.timelines.flatMap(timeline =>
    timeline.people.map(person => new Raster(byId("rasters"), timeline, person)));
}

function writeStrips() {
  byId("strips-section").hidden = !data.strips.length;
  byId("strips").append(...data.strips.map(strip => {
    const picture = element("div", { className: "picture" },
      element("img", { src: strip.image, alt: `Reference above, ${strip.system} below` }),
      element("span", { className: "label", textContent: "reference", style: "bottom:calc(50% + 6px)" }),
      element("span", { className: "label", textContent: "system", style: "bottom:6px" }));
    const times = strip.timesS.map(timeS =>
      element("span", { textContent: `${timeS > 0 ? "+" : ""}${timeS.toFixed(1).replace("-", "−")} s` }));
    const figure = element("figure", { className: "strip" }, picture,
      element("div", { className: "times" }, ...times),
      element("figcaption", {}, element("b", { textContent: strip.system }),
        ` ${strip.clip}, speaker ${strip.speaker}, ${strip.kind} at ${strip.timeS.toFixed(1)} s; `
        + `off by ${strip.distance} variances`));
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

function writeRun() {
  const list = element("dl", {});
  const add = (key, value) => list.append(element("dt", { textContent: key }), element("dd", { textContent: value }));
  for (const [key, value] of Object.entries(data.run))
    if (value && typeof value === "object" && !Array.isArray(value))
      for (const [inner, text] of Object.entries(value)) add(`${key}: ${inner}`, String(text));
    else add(key, Array.isArray(value) ? value.join(", ") : String(value));
  byId("run").append(list);
}

// The one place that leaves systems out: of curves, events and pictures, not of the table and its plots.
function drawChosen() {
  const isShown = name => name === data.reference || choice.has(name);
  byId("curves-legend").replaceChildren(...curved.filter(row => isShown(row.name)).map(row =>
    legendEntry("span", row)));
  for (const one of [...curves, ...rasters]) one.draw(isShown);
  for (const strip of byId("strips").children) strip.hidden = !isShown(strip.dataset.system);
}

function drawAll() {
  for (const plot of plots) plot.draw();
  drawChosen();
}

let pending = 0;
function soon(draw) {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(draw);
}

writeHeader();
writeFamilies();
writeStrips();
writeMeasures();
writeRun();
const curves = makeCurves(), rasters = makeRasters();
const choice = new Choice(byId("systems"), systems, atFirst, drawChosen);
showFamily(data.families[0]);
drawAll();
let width = document.body.clientWidth;
addEventListener("resize", () => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  soon(drawAll);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
