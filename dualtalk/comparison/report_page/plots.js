"use strict";

// A dot and its interval for every row of a measure; and curves around transitions.

const ROW_PX = 19, NAME_PX = 118, AXIS_PX = 20, END_PX = 12;

function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Round numbers between two ends, at most `count` of them.
function ticksBetween(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + 1e-9 * step; tick++) ticks.push(tick * step);
  return ticks;
}

function tickText(value) { return Number(value.toPrecision(3)).toString().replace("-", "−"); }

class DotPlot {
  constructor(parent, data, measure, index) {
    Object.assign(this, { data, measure, index });
    this.svg = drawn("svg", { role: "img", "aria-label": measure.name });
    parent.append(element("figure", {}, element("figcaption", {}, shortName(measure),
      element("small", { textContent: `${SIGNS[measure.wanted]} ${measure.unit}` })), this.svg));
  }

  // What the dashed line shows: the value that is wanted, or else the reference's.
  target() {
    const truth = this.data.rows.find(row => row.name === this.data.reference);
    return this.measure.wanted === "one" ? 1 : truth?.figures[this.index][0] ?? null;
  }

  // Systems and the target decide the scale, and controls as far as they are not beyond all measure.
  range(rows) {
    const shown = rows.filter(row => row.regime !== "control" || row.name === this.data.reference);
    const inner = [this.target(), ...shown.flatMap(row => row.figures[this.index])].filter(value => value !== null);
    let low = Math.min(...inner), high = Math.max(...inner);
    const room = 1.5 * (high - low || Math.abs(high) || 1);
    for (const row of rows) {
      const value = row.figures[this.index][0];
      low = Math.min(low, Math.max(value, low - room));
      high = Math.max(high, Math.min(value, high + room));
    }
    const margin = 0.04 * (high - low || Math.abs(high) || 1);
    return [low - margin, high + margin];
  }

  draw() {
    const rows = this.data.rows.filter(row => row.figures[this.index][0] !== null);
    const width = this.svg.clientWidth, height = rows.length * ROW_PX + AXIS_PX;
    const [low, high] = this.range(rows);
    const x = value => NAME_PX + (value - low) / (high - low) * (width - NAME_PX - END_PX);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    this.svg.replaceChildren();
    for (const tick of ticksBetween(low, high, Math.max((width - NAME_PX) / 60, 2))) {
      this.line(x(tick), 0, x(tick), height - AXIS_PX + 2, "var(--line)");
      this.svg.append(drawn("text", { x: x(tick), y: height - 4, "text-anchor": "middle", class: "quiet" }, tickText(tick)));
    }
    const target = this.target();
    if (target !== null) this.line(x(target), 0, x(target), height - AXIS_PX, "var(--reference)", "3 3");
    rows.forEach((row, place) => this.row(row, (place + 0.5) * ROW_PX, x, low, high));
  }

  row(row, y, x, low, high) {
    const colour = colourOf(row, this.data), [value, from, to] = row.figures[this.index];
    const quiet = row.regime === "control" ? "quiet" : "";
    this.svg.append(drawn("text", { x: 0, y: y + 4, class: quiet }, cutText(row.name, 17)));
    const inside = end => Math.min(Math.max(end, low), high);
    const beyond = value < low || value > high;
    if (from !== null && !beyond) this.line(x(inside(from)), y, x(inside(to)), y, colour);
    if (beyond)
      this.svg.append(drawn("text", { x: x(inside(value)) + (value > high ? -2 : 2), y: y + 4, class: "quiet",
        "text-anchor": value > high ? "end" : "start" }, value > high ? `${numberText(value)} ▸` : `◂ ${numberText(value)}`));
    else this.svg.append(drawn("circle", { cx: x(value), cy: y, r: 4, style: `fill:${colour}` }));
  }

  line(x1, y1, x2, y2, colour, dashes = "") {
    this.svg.append(drawn("line", { x1, y1, x2, y2, style: `stroke:${colour};stroke-width:1.5`, "stroke-dasharray": dashes }));
  }
}

function cutText(text, length) { return text.length > length ? `${text.slice(0, length - 1)}…` : text; }

const CURVE_PX = 190, CURVE_AXIS_PX = 46;

class CurvePlot {
  constructor(parent, data, kind, quantity) {
    Object.assign(this, { data, kind, quantity });
    this.rows = data.rows.filter(row => row.curves[kind]);
    this.box = element("div", {});
    const { transitions } = this.rows[0].curves[kind][quantity];
    parent.append(element("figure", {}, element("figcaption", {}, `${quantity}, ${data.quantities[quantity]}`,
      element("small", { textContent: `${kind} · ${transitions}` })), this.box));
    const columns = this.rows.flatMap(row => ["mean", "low", "high"].map(end => row.curves[kind][quantity][end]));
    this.columns = [data.curveTimes, ...columns];
  }

  draw() {
    this.chart?.destroy();
    const style = getComputedStyle(document.documentElement);
    const read = colour => style.getPropertyValue(colour.slice(4, -1)).trim();
    const series = [{}], bands = [];
    for (const row of this.rows) {
      const colour = read(colourOf(row, this.data)), first = series.length;
      const dash = row.name === this.data.reference ? [5, 4] : undefined;
      series.push({ stroke: colour, width: 2, dash, points: { show: false } });
      for (let end = 0; end < 2; end++) series.push({ stroke: "transparent", points: { show: false } });
      bands.push({ series: [first + 2, first + 1], fill: `${colour}2e` });
    }
    const quiet = read("var(--quiet)"), line = read("var(--line)");
    const grid = { stroke: line, width: 1 };
    this.chart = new uPlot({
      width: this.box.clientWidth, height: CURVE_PX, legend: { show: false }, cursor: { show: false },
      padding: [8, 10, 0, 0], scales: { x: { time: false } }, series, bands,
      axes: [
        { stroke: quiet, grid, ticks: { show: false }, size: 24, values: (_, ticks) => ticks.map(tick => `${tickText(tick)} s`) },
        { stroke: quiet, grid, ticks: { show: false }, size: CURVE_AXIS_PX, space: 30 },
      ],
      hooks: { drawClear: [chart => markZero(chart, quiet)] },
    }, this.columns, this.box);
  }
}

// The moment of the transition.
function markZero(chart, colour) {
  const x = chart.valToPos(0, "x", true), { top, height } = chart.bbox;
  chart.ctx.save();
  chart.ctx.fillStyle = colour;
  chart.ctx.fillRect(Math.round(x), top, 1, height);
  chart.ctx.restore();
}
