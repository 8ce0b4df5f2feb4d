"use strict";

// Helpers that the three pages share.

const byId = id => document.getElementById(id);

// A new element with these properties and children.
function element(tag, properties, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

// A count with its noun in the singular or plural.
function counted(count, one, more = `${one}s`) { return `${count.toLocaleString("en")} ${count === 1 ? one : more}`; }

// Minutes and seconds, and hours from one hour on.
function clockText(timeS, digits = 0) {
  const rounded = timeS + 0.5 * 10 ** -digits;
  const minutes = Math.floor(rounded / 60), hours = Math.floor(minutes / 60);
  const truncated = Math.floor((rounded - minutes * 60) * 10 ** digits) / 10 ** digits;
  const seconds = truncated.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

function writeNotes(notes) {
  byId("notes").append(...notes.map(note => element("li", { textContent: note })));
}

// The record of a run as a definition list; nested objects become one row per key. Undefined values are left out.
function writeRun(run) {
  const list = element("dl", {});
  const add = (key, value) => list.append(element("dt", { textContent: key }), element("dd", { textContent: value }));
  for (const [key, value] of Object.entries(run).filter(([, value]) => value !== undefined))
    if (value && typeof value === "object" && !Array.isArray(value))
      for (const [inner, text] of Object.entries(value)) add(`${key}: ${inner}`, String(text));
    else add(key, Array.isArray(value) ? value.join(", ") : String(value));
  byId("run").append(list);
}

// Call `draw` once before the next repaint, however often it is asked for.
let pendingFrame = 0;
function scheduleDraw(draw) {
  cancelAnimationFrame(pendingFrame);
  pendingFrame = requestAnimationFrame(draw);
}
