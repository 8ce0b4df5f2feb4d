// One person of one clip: speech, role transitions, and one row of events for the ground truth and for each system.

const KINDS = ["nod", "shake", "smile", "laugh", "frown", "surprise"];
const SPEECH_PX = 10, EVENT_PX = 6;

class Raster {
  constructor(parent, timeline, person) {
    Object.assign(this, { timeline, person });
    const label = `${timeline.clip}, speaker ${person.speaker}`;
    const box = element("div", { className: "raster" }, element("h3", { textContent: label }));
    this.drawing = new RowDrawing(box, `Events of ${label}`);
    parent.append(box);
  }

  draw(isSelected) {
    const { own, partner, transitions } = this.person;
    const rows = this.person.rows.filter(row => isSelected(row.name));
    const names = ["speaks", "partner speaks", ...rows.map(row => row.name)];
    const [ownY, partnerY, ...middles] = this.drawing.begin(names.map(name => [name, "quiet"]));
    const x = this.drawing.axis(0, this.timeline.durationS, 70, " s");
    const bar = (startS, endS, y, height, colour) => this.drawing.add("rect",
      { x: x(startS), y, width: Math.max(x(endS) - x(startS), 1.5), height, rx: 2, style: `fill:${colour}` });
    for (const [startS, endS] of own) bar(startS, endS, ownY - SPEECH_PX / 2, SPEECH_PX, "var(--own)");
    for (const [startS, endS] of partner) bar(startS, endS, partnerY - SPEECH_PX / 2, SPEECH_PX, "var(--partner)");
    for (const [kind, timeS] of transitions) this.transition(kind, x(timeS));
    rows.forEach(({ events }, place) => {
      for (const [kind, startS, endS] of events) {
        const y = KINDS.indexOf(kind) > 1 ? middles[place] + 0.5 : middles[place] - EVENT_PX - 0.5;
        bar(startS, endS, y, EVENT_PX, `var(--${kind})`);
      }
    });
  }

  transition(kind, x) {
    const mark = svgElement("line", { x1: x, x2: x, y1: 0, y2: this.drawing.bottom,
      style: "stroke:var(--quiet);stroke-width:1", "stroke-dasharray": kind.startsWith("turn") ? "" : "2 3" });
    mark.append(svgElement("title", {}, kind));
    this.drawing.svg.append(mark);
  }
}
