// The style of each system, and a button for each that shows or hides its curves, events and still images.

const COLOURS = 12, INITIALLY_SHOWN = 6;

// The systems that are best in most metrics, in the table's order.
function mostOftenBest(systems) {
  const ranked = [...systems].sort((one, two) => two.best.length - one.best.length).slice(0, INITIALLY_SHOWN);
  return systems.filter(row => ranked.includes(row));
}

// The systems shown initially get different colours; systems beyond the number of colours get dotted lines.
function assignStyles(data, systems, initial) {
  const order = [...initial, ...systems.filter(row => !initial.includes(row))];
  order.forEach((row, place) => Object.assign(row,
    { colour: `var(--s${place % COLOURS})`, line: place < COLOURS ? "solid" : "dotted" }));
  for (const row of data.rows.filter(one => one.protocol === "baseline"))
    Object.assign(row, row.name === data.groundTruth ? { colour: "var(--ground-truth)", line: "dashed" }
      : { colour: "var(--baseline)", line: "solid" });
}

// A legend entry: the system's line and its name.
function legendEntry(tag, row, properties = {}) {
  return element(tag, { className: "entry", ...properties },
    element("i", { style: `border-top:3px ${row.line} ${row.colour}` }), element("span", { textContent: row.name }));
}

class SystemSelection {
  constructor(parent, systems, initial, changed) {
    Object.assign(this, { names: new Set(initial.map(row => row.name)), changed });
    parent.append(...systems.map(row => this.button(row)));
  }

  has(name) { return this.names.has(name); }

  button(row) {
    const button = legendEntry("button", row, { type: "button", ariaPressed: String(this.has(row.name)) });
    button.addEventListener("click", () => {
      if (!this.names.delete(row.name)) this.names.add(row.name);
      button.ariaPressed = String(this.has(row.name));
      this.changed();
    });
    return button;
  }
}
