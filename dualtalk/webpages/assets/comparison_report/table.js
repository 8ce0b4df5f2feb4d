// The table of results: one row per system, one column per metric of the selected group.

const PROTOCOLS = { "partner-given": "Partner given: the partner is the ground truth", "closed-loop": "Closed loop: both people are predicted", baseline: "Baselines" };
const SIGNS = { lower: "↓", higher: "↑", one: "→1", "ground truth": "≈" };

function numberText(value) {
  if (value === null) return "–";
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) return value.toExponential(1).replace("e-", "e−");
  if (size === 0) return "0";
  return value.toFixed(size >= 100 ? 0 : Math.min(2 - Math.floor(Math.log10(size)), 5)).replace("-", "−");
}

class Table {
  constructor(parent, data) {
    Object.assign(this, { parent, data, sortedBy: null, reversed: false });
    this.groundTruth = data.rows.find(row => row.name === data.groundTruth);
  }

  show(group) {
    this.group = group;
    this.sortedBy = null;
    this.draw();
  }

  columns(group = this.group) {
    return this.data.metrics.map((metric, index) => ({ metric, index })).filter(({ metric, index }) =>
      metric.group === group && this.data.rows.some(row => row.values[index][0] !== null));
  }

  // The distance of a value from the ideal value; missing values come last.
  distance(row, index) {
    const value = row.values[index][0], { direction } = this.data.metrics[index];
    if (value === null) return Infinity;
    if (direction === "lower") return value;
    if (direction === "higher") return -value;
    return Math.abs(value - (direction === "one" ? 1 : this.groundTruth.values[index][0] ?? 0));
  }

  sort(index) {
    this.reversed = this.sortedBy === index && !this.reversed;
    this.sortedBy = index;
    this.draw();
  }

  ordered(rows) {
    if (this.sortedBy === null) return rows;
    const sign = this.reversed ? -1 : 1;
    return [...rows].sort((one, two) => {
      const [near, far] = [one, two].map(row => this.distance(row, this.sortedBy));
      return near === far ? 0 : sign * (near < far ? -1 : 1);
    });
  }

  draw() {
    const columns = this.columns();
    const table = element("table", {}, element("thead", {}, this.heading(columns)));
    for (const protocol of Object.keys(PROTOCOLS)) {
      const rows = this.data.rows.filter(row => row.protocol === protocol
        && columns.some(({ index }) => row.values[index][0] !== null));
      if (!rows.length) continue;
      const title = element("th", { colSpan: columns.length + 1, scope: "rowgroup", className: "group" },
        element("span", { textContent: PROTOCOLS[protocol] }));
      table.append(element("tbody", {}, element("tr", {}, title),
        ...this.ordered(rows).map(row => this.row(row, columns))));
    }
    this.parent.replaceChildren(table);
  }

  heading(columns) {
    return element("tr", {}, element("th", { scope: "col", textContent: "" }), ...columns.map(({ metric, index }) => {
      const mark = this.sortedBy === index ? (this.reversed ? " ▾" : " ▴") : "";
      const button = element("button", { type: "button", title: `${metric.formula}. Better: ${metric.directionText}.` },
        shortName(metric) + mark,
        element("small", { textContent: `${SIGNS[metric.direction]} ${metric.unit}` }));
      button.addEventListener("click", () => this.sort(index));
      const sorted = this.sortedBy === index ? (this.reversed ? "descending" : "ascending") : "none";
      return element("th", { scope: "col", ariaSort: sorted }, button);
    }));
  }

  row(row, columns) {
    const dot = element("i", { className: "dot", style: `background:${row.colour}` });
    const cells = columns.map(({ index }) => {
      const [value, low, high] = row.values[index];
      const cell = element("td", { textContent: numberText(value), className: row.best.includes(index) ? "best" : "" });
      if (low !== null) cell.append(element("small", { textContent: `${numberText(low)} … ${numberText(high)}` }));
      return cell;
    });
    const name = element("th", { scope: "row", title: row.about },
      element("div", { className: "name" }, dot, element("span", { textContent: row.name })));
    if (row.samples > 1) name.append(element("small", { textContent: `${row.samples} samples` }));
    return element("tr", { className: row.protocol === "baseline" ? "baseline" : "" }, name, ...cells);
  }
}

// The metric's name without the name of its group.
function shortName(metric) {
  const around = metric.group.replace("At ", "");
  return metric.name.startsWith(`${around}: `) ? metric.name.slice(around.length + 2) : metric.name;
}
