// The timeline, the curves below it, and the buttons that select curves. TimeWindow, Gestures, Timeline, Overview,
// CurveChart and the helpers of base.js are global: the page loads them before this script.

const CURVE_PX = 84;

export class ChartsPanel {
  constructor(data, onSeek) {
    Object.assign(this, { data, onSeek, open: new Map(), timeS: 0 });
    this.box = document.getElementById("stack");
    this.curves = document.getElementById("curves");
    this.view = new TimeWindow(data.durationS);
    this.timeline = new Timeline(document.getElementById("timeline"), data, this.view);
    this.overview = new Overview(document.getElementById("overview"), data, this.view);
    this.times = Array.from({ length: data.frames }, (_, frame) => (frame + 0.5) / data.fps);
    this.gestures = new Gestures(this.box, document.getElementById("selection"), this.view, {
      onSeek, onHover: atS => this.hover(atS),
    });
    this.chips = data.curves.map(curve => this.chip(curve));
    document.getElementById("chips").append(...this.chips.map(({ button }) => button));
    this.view.listeners.push(() => scheduleDraw(() => this.draw()));
    new ResizeObserver(() => scheduleDraw(() => this.rebuild())).observe(this.box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
    this.rebuild();
  }

  // A button that shows or hides a curve, with both people's current values as bars.
  chip(curve) {
    const bars = ["a", "b"].map(person => element("i", { className: person }));
    const text = curve.title.split(" (")[0];
    const button = element("button", { type: "button", className: "chip", ariaPressed: "false" }, text, ...bars);
    button.addEventListener("click", () => this.toggle(curve, button));
    const ends = ["a", "b"].map(person => curve[person].reduce(
      ([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0]));
    const low = Math.min(...ends.map(end => end[0]));
    const high = curve.unit === "" ? Math.max(curve.scale, ...ends.map(end => end[1])) : Math.max(low + 1, ...ends.map(end => end[1]));
    return { curve, button, bars, low, high };
  }

  toggle(curve, button) {
    const chart = this.open.get(curve);
    button.ariaPressed = String(!chart);
    if (chart) {
      chart.box.remove();
      chart.chart.destroy();
      this.open.delete(curve);
    } else {
      const added = new CurveChart(this.curves, curve, this.times, this.view, CURVE_PX);
      this.open.set(curve, added);
      added.build();
      added.draw();
    }
    this.showValues();
  }

  rebuild() {
    for (const chart of this.open.values()) chart.build();
    this.draw();
  }

  draw() {
    this.timeline.draw();
    this.overview.draw();
    for (const chart of this.open.values()) chart.draw();
    this.placePlayhead();
  }

  setTime(timeS, playing) {
    this.timeS = timeS;
    if (playing) this.view.follow(timeS);
    this.placePlayhead();
    this.showValues();
  }

  placePlayhead() {
    const head = document.getElementById("playhead"), { timeS, view } = this;
    head.style.transform = `translateX(${this.gestures.pixelOf(timeS)}px)`;
    head.hidden = timeS < view.startS || timeS > view.endS;
    Object.assign(this.box, { ariaValueMax: this.data.durationS, ariaValueNow: timeS, ariaValueText: clockText(timeS, 1) });
    this.placeLoop();
  }

  loop(span) {
    this.loopSpan = span;
    this.placeLoop();
  }

  placeLoop() {
    const box = document.getElementById("loop");
    box.hidden = !this.loopSpan;
    if (!this.loopSpan) return;
    const [left, right] = this.loopSpan.map(atS => this.gestures.pixelOf(Math.min(Math.max(atS, this.view.startS), this.view.endS)));
    box.style.left = `${left}px`;
    box.style.width = `${right - left}px`;
  }

  hover(atS) {
    const line = document.getElementById("hover");
    line.hidden = atS === null;
    if (atS !== null) line.style.transform = `translateX(${this.gestures.pixelOf(atS)}px)`;
  }

  // The current values, in the corners of the curves and on the buttons.
  showValues() {
    const frame = Math.min(Math.floor(this.timeS * this.data.fps), this.data.frames - 1);
    for (const chart of this.open.values()) chart.showValues(frame);
    if (!document.getElementById("channels").open) return;
    for (const { curve, bars, low, high } of this.chips)
      ["a", "b"].forEach((person, number) => {
        bars[number].style.transform = `scaleX(${Math.max(0, (curve[person][frame] - low) / (high - low))})`;
      });
  }
}
