// Point plots with confidence intervals, one per metric, and curves around role transitions.

class DotPlot {
  constructor(parent, data, metric, index) {
    Object.assign(this, { data, metric, index });
    const figure = element("figure", {}, element("figcaption", {}, shortName(metric),
      element("small", { textContent: `${SIGNS[metric.direction]} ${metric.unit}` })));
    this.drawing = new RowDrawing(figure, metric.name);
    parent.append(figure);
  }

  // The value of the dashed line: the ideal value 1, or the ground truth.
  target() {
    const groundTruth = this.data.rows.find(row => row.name === this.data.groundTruth);
    return this.metric.direction === "one" ? 1 : groundTruth?.values[this.index][0] ?? null;
  }

  // The range covers all systems and the target, and those baselines that are not far outside.
  range(rows) {
    const required = rows.filter(row => row.protocol !== "baseline" || row.name === this.data.groundTruth);
    const inner = [this.target(), ...required.flatMap(row => row.values[this.index])].filter(value => value !== null);
    let low = Math.min(...inner), high = Math.max(...inner);
    const room = 1.5 * (high - low || Math.abs(high) || 1);
    for (const row of rows) {
      const value = row.values[this.index][0];
      low = Math.min(low, Math.max(value, low - room));
      high = Math.max(high, Math.min(value, high + room));
    }
    const margin = 0.04 * (high - low || Math.abs(high) || 1);
    return [low - margin, high + margin];
  }

  draw() {
    const rows = this.data.rows.filter(row => row.values[this.index][0] !== null);
    const middles = this.drawing.begin(rows.map(row => [row.name, row.protocol === "baseline" ? "quiet" : ""]));
    const [low, high] = this.range(rows), target = this.target();
    const x = this.drawing.axis(low, high, 60);
    if (target !== null) this.drawing.line(x(target), 0, x(target), this.drawing.bottom, "var(--ground-truth)", "3 3");
    rows.forEach((row, place) => this.row(row, middles[place], x, low, high));
  }

  row(row, y, x, low, high) {
    const [value, from, to] = row.values[this.index];
    const inside = end => Math.min(Math.max(end, low), high);
    const isOutside = value < low || value > high;
    if (from !== null && !isOutside) this.drawing.line(x(inside(from)), y, x(inside(to)), y, row.colour);
    if (isOutside)
      this.drawing.add("text", { x: x(inside(value)) + (value > high ? -2 : 2), y: y + 4, class: "quiet",
        "text-anchor": value > high ? "end" : "start" }, value > high ? `${numberText(value)} ▸` : `◂ ${numberText(value)}`);
    else this.drawing.add("circle", { cx: x(value), cy: y, r: 4, style: `fill:${row.colour}` });
  }
}

const CURVE_PX = 190, CURVE_AXIS_PX = 46;
const DASHES = { dashed: [5, 4], dotted: [2, 3] };

class CurvePlot {
  constructor(parent, data, kind, quantity) {
    Object.assign(this, { data, kind, quantity });
    this.rows = data.rows.filter(row => row.curves[kind]);
    this.box = element("div", {});
    const { transitions } = this.rows[0].curves[kind][quantity];
    parent.append(element("figure", {}, element("figcaption", {}, `${quantity}, ${data.quantities[quantity]}`,
      element("small", { textContent: `${kind} · ${transitions}` })), this.box));
  }

  draw(isSelected) {
    this.chart?.destroy();
    const style = getComputedStyle(document.documentElement);
    const read = colour => style.getPropertyValue(colour.slice(4, -1)).trim();
    const columns = [this.data.curveTimes], series = [{}], bands = [];
    for (const row of this.rows.filter(one => isSelected(one.name))) {
      const colour = read(row.colour), first = series.length, curve = row.curves[this.kind][this.quantity];
      columns.push(curve.mean, curve.low, curve.high);
      series.push({ stroke: colour, width: 2, dash: DASHES[row.line], points: { show: false } });
      for (let end = 0; end < 2; end++) series.push({ stroke: "transparent", points: { show: false } });
      bands.push({ series: [first + 2, first + 1], fill: `${colour}2e` });
    }
    const quiet = read("var(--quiet)"), line = read("var(--line)");
    const grid = { stroke: line, width: 1 };
    this.chart = new uPlot({
      width: this.box.clientWidth, height: CURVE_PX, legend: { show: false }, cursor: { show: false },
      padding: [8, 10, 0, 0], scales: { x: { time: false } }, series, bands,
      axes: [
        { stroke: quiet, grid, ticks: { show: false }, size: 24, space: 64, values: (_, ticks) => ticks.map(tick => `${tickText(tick)} s`) },
        { stroke: quiet, grid, ticks: { show: false }, size: CURVE_AXIS_PX, space: 30 },
      ],
      hooks: { drawClear: [chart => markZero(chart, quiet)] },
    }, columns, this.box);
  }
}

// Marks the time of the transition.
function markZero(chart, colour) {
  const x = chart.valToPos(0, "x", true), { top, height } = chart.bbox;
  chart.ctx.save();
  chart.ctx.fillStyle = colour;
  chart.ctx.fillRect(Math.round(x), top, 1, height);
  chart.ctx.restore();
}
