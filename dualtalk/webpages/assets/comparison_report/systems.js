"use strict";

// How each system looks, and which of them the curves, events and pictures show: a button for each.

const COLOURS = 12, CHOSEN_AT_FIRST = 6;

// Those that are best most often, in the table's order.
function oftenBest(systems) {
  const ranked = [...systems].sort((one, two) => two.best.length - one.best.length).slice(0, CHOSEN_AT_FIRST);
  return systems.filter(row => ranked.includes(row));
}

// The chosen come first, so that no two of them share a colour; past the last colour, lines are dotted.
function giveLooks(data, systems, chosen) {
  const order = [...chosen, ...systems.filter(row => !chosen.includes(row))];
  order.forEach((row, place) => Object.assign(row,
    { colour: `var(--s${place % COLOURS})`, line: place < COLOURS ? "solid" : "dotted" }));
  for (const row of data.rows.filter(one => one.protocol === "control"))
    Object.assign(row, row.name === data.reference ? { colour: "var(--reference)", line: "dashed" }
      : { colour: "var(--control)", line: "solid" });
}

// A system's line and its name.
function legendEntry(tag, row, properties = {}) {
  return element(tag, { className: "entry", ...properties },
    element("i", { style: `border-top:3px ${row.line} ${row.colour}` }), element("span", { textContent: row.name }));
}

class Choice {
  constructor(parent, systems, chosen, changed) {
    Object.assign(this, { names: new Set(chosen.map(row => row.name)), changed });
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
