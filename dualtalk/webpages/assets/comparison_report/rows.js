// The base of point plots and rasters: rows with their full names at the left, above a common axis.

const AXIS_PX = 20, END_PX = 12;

function svgElement(tag, attributes, text) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  if (text !== undefined) created.textContent = text;
  return created;
}

// At most `count` round numbers between two ends.
function ticksBetween(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + 1e-9 * step; tick++) ticks.push(tick * step);
  return ticks;
}

function tickText(value) { return Number(value.toPrecision(3)).toString().replace("-", "−"); }

class RowDrawing {
  constructor(parent, label) {
    this.names = element("div", { className: "names" });
    this.svg = svgElement("svg", { role: "img", "aria-label": label });
    parent.append(element("div", { className: "rows" }, this.names, this.svg));
  }

  // Clears the drawing and adds one row for each [name, class]. Names wrap, so rows differ in height; returns the vertical
  // middle of each row.
  begin(rows) {
    this.names.replaceChildren(...rows.map(([textContent, className]) => element("div", { textContent, className })));
    Object.assign(this, { width: this.svg.clientWidth, bottom: this.names.offsetHeight });
    const height = this.bottom + AXIS_PX;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.svg.style.height = `${height}px`;
    this.svg.replaceChildren();
    return [...this.names.children].map(name => name.offsetTop + name.offsetHeight / 2);
  }

  add(tag, attributes, text) { this.svg.append(svgElement(tag, attributes, text)); }

  axis(low, high, spacingPx, unit = "") {
    const x = value => (value - low) / (high - low) * (this.width - END_PX);
    for (const tick of ticksBetween(low, high, Math.max(this.width / spacingPx, 2))) {
      this.line(x(tick), 0, x(tick), this.bottom + 2, "var(--line)");
      this.add("text", { x: x(tick), y: this.bottom + AXIS_PX - 4, "text-anchor": "middle", class: "quiet" },
        `${tickText(tick)}${unit}`);
    }
    return x;
  }

  line(x1, y1, x2, y2, colour, dashes = "") {
    this.add("line", { x1, y1, x2, y2, style: `stroke:${colour};stroke-width:1.5`, "stroke-dasharray": dashes });
  }
}
