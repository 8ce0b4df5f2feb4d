// The charts over time: the timeline of speech and turns, the overview, and the curves.

const PEOPLE = ["a", "b"];
const AXIS_PX = 22, ROW_PX = 44, LANE_PX = 12;
const TIMELINE_PX = AXIS_PX + 2 * ROW_PX + LANE_PX + 6;
const QUIET_DB = -62, LOUD_DB = -12;
// If a pixel is longer than this, phrases are too short to draw: the timeline shows the fraction of speech per pixel.
const MAX_SECONDS_PER_PX = 0.5;
const TICK_STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = name => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["a", "b", "a-soft", "b-soft", "both", "line", "ink", "quiet", "panel"]
    .map(name => [name, read(name)]));
}

// Clears a canvas, sets it to the screen's resolution, and returns its context in CSS pixels and its width.
function prepareCanvas(canvas, height) {
  const width = canvas.clientWidth, ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  return [context, width];
}

// Returns a function of time: the seconds of speech up to that time, in steps of 0.1 s.
function cumulativeSpeech(spans, durationS) {
  const sums = new Float32Array(Math.ceil(durationS * 10) + 2);
  for (const [startS, endS] of spans)
    for (let tenth = Math.round(startS * 10); tenth < Math.round(endS * 10); tenth++) sums[tenth + 1] = 0.1;
  for (let tenth = 1; tenth < sums.length; tenth++) sums[tenth] += sums[tenth - 1];
  return timeS => sums[Math.min(Math.max(Math.round(timeS * 10), 0), sums.length - 1)];
}

class Timeline {
  constructor(canvas, data, view) {
    Object.assign(this, { canvas, data, view });
    this.loudness = data.curves.find(curve => curve.title === "Loudness");
    this.spokenS = Object.fromEntries(PEOPLE.map(person => [person, cumulativeSpeech(data.speech[person], data.durationS)]));
  }

  rowTop(person) { return AXIS_PX + (person === "a" ? 0 : ROW_PX + LANE_PX); }

  draw() {
    const [context, width] = prepareCanvas(this.canvas, TIMELINE_PX);
    const ink = colours();
    this.plotWidth = width - GUTTER_PX - RIGHT_PX;
    this.drawAxis(context, ink);
    for (const person of PEOPLE) this.drawName(context, ink, person);
    context.save();
    context.beginPath();
    context.rect(GUTTER_PX, 0, this.plotWidth, TIMELINE_PX);
    context.clip();
    this.drawLane(context, ink);
    for (const person of PEOPLE) this.drawPerson(context, ink, person);
    context.restore();
  }

  x(timeS) { return GUTTER_PX + (timeS - this.view.startS) / this.view.spanS * this.plotWidth; }

  isVisible(startS, endS) { return endS >= this.view.startS && startS <= this.view.endS; }

  drawAxis(context, ink) {
    const minStep = this.view.spanS / Math.max(this.plotWidth / 80, 1);
    const step = TICK_STEPS_S.find(one => one >= minStep) ?? TICK_STEPS_S.at(-1);
    context.textAlign = "center";
    for (let tick = Math.ceil(this.view.startS / step); tick * step <= this.view.endS; tick++) {
      const x = this.x(tick * step);
      context.fillStyle = ink.line;
      context.fillRect(Math.round(x), AXIS_PX - 4, 1, TIMELINE_PX - AXIS_PX + 4);
      context.fillStyle = ink.quiet;
      const text = clockText(tick * step, step < 1 ? 1 : 0), half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(x, GUTTER_PX + this.plotWidth + RIGHT_PX - half - 2), 12);
    }
  }

  drawName(context, ink, person) {
    context.textAlign = "center";
    context.fillStyle = ink[person];
    context.font = "700 20px system-ui, sans-serif";
    context.fillText(person.toUpperCase(), GUTTER_PX / 2, this.rowTop(person) + ROW_PX / 2 + 7);
    context.font = "12px system-ui, sans-serif";
  }

  drawPerson(context, ink, person) {
    const top = this.rowTop(person), middle = top + ROW_PX / 2;
    if (this.view.spanS / this.plotWidth > MAX_SECONDS_PER_PX) {
      this.drawSpeechFraction(context, ink[person], person, middle);
      return;
    }
    for (const [startS, endS] of this.data.speech[person]) {
      if (!this.isVisible(startS, endS)) continue;
      context.fillStyle = ink[`${person}-soft`];
      this.bar(context, startS, endS, top + 2, ROW_PX - 4);
      context.fill();
      this.drawVoice(context, ink[person], person, startS, endS, middle);
    }
    context.strokeStyle = ink[person];
    context.setLineDash([3, 3]);
    for (const turn of this.data.turns) {
      if (turn.kind !== "backchannel" || turn.person !== person) continue;
      if (!this.isVisible(turn.start_s, turn.end_s)) continue;
      this.bar(context, turn.start_s, turn.end_s, top + 2, ROW_PX - 4);
      context.stroke();
    }
    context.setLineDash([]);
    for (const [startS, endS] of this.data.nods?.[person] ?? [])
      if (this.isVisible(startS, endS)) this.drawNod(context, ink.ink, startS, endS, top + ROW_PX - 5);
  }

  // A nod as a small wave.
  drawNod(context, colour, startS, endS, middle) {
    const left = this.x(startS), right = Math.max(this.x(endS), left + 6), waves = 2;
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    for (let step = 0; step <= 8 * waves; step++)
      context.lineTo(left + step / (8 * waves) * (right - left), middle + 3 * Math.sin(step * Math.PI / 4));
    context.stroke();
    context.lineWidth = 1;
  }

  bar(context, startS, endS, top, height) {
    const left = this.x(startS), width = Math.max(this.x(endS) - left, 2);
    context.beginPath();
    context.roundRect(left, top, width, height, Math.min(6, width / 2));
  }

  drawSpeechFraction(context, colour, person, middle) {
    const perPx = this.view.spanS / this.plotWidth, spokenS = this.spokenS[person];
    context.fillStyle = colour;
    for (let x = 0; x < this.plotWidth; x++) {
      const startS = this.view.startS + x * perPx;
      const half = (spokenS(startS + perPx) - spokenS(startS)) / perPx * (ROW_PX / 2 - 2);
      context.fillRect(GUTTER_PX + x, middle - half, 1, 2 * half);
    }
  }

  // The loudness of the voice: one bar per pixel, with the loudest frame of the pixel.
  drawVoice(context, colour, person, startS, endS, middle) {
    const { fps } = this.data, levels = this.loudness[person], perPx = this.view.spanS / this.plotWidth;
    context.fillStyle = colour;
    const last = Math.min(this.x(endS), GUTTER_PX + this.plotWidth);
    for (let x = Math.max(Math.floor(this.x(startS)), GUTTER_PX); x < last; x++) {
      const timeS = this.view.startS + (x - GUTTER_PX) * perPx;
      const first = Math.max(Math.floor(timeS * fps), 0);
      let level = QUIET_DB;
      for (let frame = first; frame <= Math.max((timeS + perPx) * fps - 1, first); frame++)
        level = Math.max(level, levels[frame] ?? QUIET_DB);
      const half = Math.max(Math.min((level - QUIET_DB) / (LOUD_DB - QUIET_DB), 1), 0.03) * (ROW_PX / 2 - 6);
      context.fillRect(x, middle - half, 1, 2 * half);
    }
  }

  // Between the two people: a bar for overlap, a thin line for gaps.
  drawLane(context, ink) {
    const top = AXIS_PX + ROW_PX, middle = top + LANE_PX / 2;
    for (const turn of this.data.turns) {
      if (!this.isVisible(turn.start_s, turn.end_s)) continue;
      const left = this.x(turn.start_s), width = Math.max(this.x(turn.end_s) - left, 1.5);
      context.fillStyle = turn.kind === "overlap" ? ink.both : ink.quiet;
      if (turn.kind === "overlap") context.fillRect(left, top + 2, width, LANE_PX - 4);
      if (turn.kind === "gap") context.fillRect(left, middle - 1, width, 2);
    }
  }
}

class Overview {
  constructor(canvas, data, view) {
    Object.assign(this, { canvas, data, view });
    let grabbedS = null;
    const timeAt = event => (event.offsetX - GUTTER_PX) / this.plotWidth * data.durationS;
    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      const timeS = timeAt(event);
      const inside = timeS >= view.startS && timeS <= view.endS;
      grabbedS = inside ? timeS - view.startS : view.spanS / 2;
      view.show(timeS - grabbedS, timeS - grabbedS + view.spanS);
    });
    canvas.addEventListener("pointermove", event => {
      if (grabbedS !== null) view.show(timeAt(event) - grabbedS, timeAt(event) - grabbedS + view.spanS);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { grabbedS = null; });
  }

  draw() {
    const height = 22;
    const [context, width] = prepareCanvas(this.canvas, height);
    const ink = colours();
    this.plotWidth = width - GUTTER_PX - RIGHT_PX;
    const x = timeS => GUTTER_PX + timeS / this.data.durationS * this.plotWidth;
    PEOPLE.forEach((person, row) => {
      context.fillStyle = ink[person];
      for (const [startS, endS] of this.data.speech[person])
        context.fillRect(x(startS), 5 + row * 7, Math.max(x(endS) - x(startS), 0.7), 5);
    });
    context.strokeStyle = ink.ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(x(this.view.startS), 1, Math.max(x(this.view.endS) - x(this.view.startS), 4), height - 2, 4);
    context.stroke();
  }
}

class CurveChart {
  constructor(parent, curve, times, view, heightPx) {
    Object.assign(this, { curve, view, heightPx });
    this.values = element("span", { className: "values" });
    this.plot = element("div", { className: "plot" });
    const title = curve.unit ? `${curve.title}, ${curve.unit}` : curve.title;
    this.box = element("figure", { className: "curve" },
      element("figcaption", {}, element("span", { textContent: title }), this.values), this.plot);
    parent.append(this.box);
    this.columns = [times, ...PEOPLE.map(person => curve[person].map(value => value / curve.scale))];
  }

  // Rebuilt when the width or the colours change; a new time window only changes the scale.
  build() {
    this.chart?.destroy();
    const ink = colours();
    const lines = PEOPLE.map(person => ({ stroke: ink[person], width: 1.5, points: { show: false } }));
    this.chart = new uPlot({
      width: this.plot.clientWidth, height: this.heightPx, legend: { show: false }, cursor: { show: false },
      padding: [6, RIGHT_PX, 4, 0],
      scales: { x: { time: false, auto: false, range: () => [this.view.startS, this.view.endS] } },
      axes: [
        { show: false },
        { size: GUTTER_PX, stroke: ink.quiet, grid: { stroke: ink.line, width: 1 }, ticks: { show: false }, space: 26 },
      ],
      series: [{}, ...lines],
    }, this.columns, this.plot);
  }

  draw() { this.chart.setScale("x", { min: this.view.startS, max: this.view.endS }); }

  // Shows the values of a frame in the chart's corner.
  showValues(frame) {
    const { curve } = this;
    this.values.replaceChildren(...PEOPLE.map(person => element("span", {
      className: person,
      textContent: `${person.toUpperCase()} ${(curve[person][frame] / curve.scale).toFixed(curve.digits)}`,
    })));
  }
}
