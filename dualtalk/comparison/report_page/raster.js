"use strict";

// One person of one clip: who speaks, where roles change, and a row of events for the reference and each system.

const KINDS = ["nod", "shake", "smile", "laugh", "frown", "surprise"];
const RASTER_ROW_PX = 18, LABEL_PX = 110, SPEECH_PX = 12;

class Raster {
  constructor(parent, timeline, person) {
    Object.assign(this, { timeline, person });
    this.svg = drawn("svg", { role: "img", "aria-label": `Events of ${timeline.clip}, speaker ${person.speaker}` });
    parent.append(element("div", { className: "raster" },
      element("h3", { textContent: `${timeline.clip}, speaker ${person.speaker}`, style: "margin-top:0" }), this.svg));
  }

  draw() {
    const { rows, own, partner, transitions } = this.person;
    const width = this.svg.clientWidth, top = 2 * SPEECH_PX + 10;
    const height = top + rows.length * RASTER_ROW_PX + AXIS_PX;
    const { durationS } = this.timeline;
    const x = timeS => LABEL_PX + timeS / durationS * (width - LABEL_PX - END_PX);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    this.svg.replaceChildren();
    const bar = (startS, endS, y, tall, colour) => this.svg.append(drawn("rect",
      { x: x(startS), y, width: Math.max(x(endS) - x(startS), 1.5), height: tall, rx: 2, style: `fill:${colour}` }));
    const label = (text, y) => this.svg.append(drawn("text", { x: 0, y, class: "quiet" }, cutText(text, 15)));
    for (const tick of ticksBetween(0, durationS, Math.max((width - LABEL_PX) / 70, 2)))
      this.svg.append(
        drawn("line", { x1: x(tick), x2: x(tick), y1: 0, y2: height - AXIS_PX + 2, style: "stroke:var(--line)" }),
        drawn("text", { x: x(tick), y: height - 4, "text-anchor": "middle", class: "quiet" }, `${tickText(tick)} s`));
    label("speaks", SPEECH_PX - 1);
    label("partner speaks", 2 * SPEECH_PX + 2);
    for (const [startS, endS] of own) bar(startS, endS, 1, SPEECH_PX - 2, "var(--own)");
    for (const [startS, endS] of partner) bar(startS, endS, SPEECH_PX + 4, SPEECH_PX - 2, "var(--partner)");
    for (const [kind, timeS] of transitions) {
      const mark = drawn("line", { x1: x(timeS), x2: x(timeS), y1: 0, y2: height - AXIS_PX,
        style: "stroke:var(--quiet);stroke-width:1", "stroke-dasharray": kind.includes("to") ? "" : "2 3" });
      mark.append(drawn("title", {}, kind));
      this.svg.append(mark);
    }
    rows.forEach(({ name, events }, place) => {
      const y = top + place * RASTER_ROW_PX;
      label(name, y + 13);
      const tall = (RASTER_ROW_PX - 4) / 2;
      for (const [kind, startS, endS] of events)
        bar(startS, endS, y + 2 + (KINDS.indexOf(kind) > 1 ? tall : 0), tall - 1, `var(--${kind})`);
    });
  }
}
