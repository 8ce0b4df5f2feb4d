"use strict";

// What is drawn: who speaks when, the overview, and the curves.

const PEOPLE = ["a", "b"];
const AXIS_PX = 22, ROW_PX = 44, LANE_PX = 12;
const TIMELINE_PX = AXIS_PX + 2 * ROW_PX + LANE_PX + 6;
const QUIET_DB = -62, LOUD_DB = -12;
// Where a pixel is longer than this, single phrases cannot be seen: the share of speech in it is drawn.
const COARSE_S = 0.5;
const TICK_STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function clockText(timeS, digits = 0) {
  const whole = timeS + 0.5 * 10 ** -digits;
  const minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  const cut = Math.floor((whole - minutes * 60) * 10 ** digits) / 10 ** digits;
  const seconds = cut.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = name => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(["a", "b", "a-soft", "b-soft", "both", "line", "ink", "quiet", "panel"]
    .map(name => [name, read(name)]));
}

// A canvas as sharp as the screen, cleared, in CSS pixels.
function prepared(canvas, height) {
  const width = canvas.clientWidth, sharp = devicePixelRatio || 1;
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  pen.font = "12px system-ui, sans-serif";
  return [pen, width];
}

// A function of time: seconds spoken until then, to a tenth of a second.
function spokenUntil(spans, durationS) {
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
    this.spokenS = Object.fromEntries(PEOPLE.map(person => [person, spokenUntil(data.speech[person], data.durationS)]));
  }

  rowTop(person) { return AXIS_PX + (person === "a" ? 0 : ROW_PX + LANE_PX); }

  draw() {
    const [pen, width] = prepared(this.canvas, TIMELINE_PX);
    const ink = colours();
    this.plotWidth = width - GUTTER_PX - RIGHT_PX;
    this.drawAxis(pen, ink);
    for (const person of PEOPLE) this.drawName(pen, ink, person);
    pen.save();
    pen.beginPath();
    pen.rect(GUTTER_PX, 0, this.plotWidth, TIMELINE_PX);
    pen.clip();
    this.drawLane(pen, ink);
    for (const person of PEOPLE) this.drawPerson(pen, ink, person);
    pen.restore();
  }

  x(timeS) { return GUTTER_PX + (timeS - this.view.startS) / this.view.spanS * this.plotWidth; }

  seen(startS, endS) { return endS >= this.view.startS && startS <= this.view.endS; }

  drawAxis(pen, ink) {
    const wanted = this.view.spanS / Math.max(this.plotWidth / 80, 1);
    const step = TICK_STEPS_S.find(one => one >= wanted) ?? TICK_STEPS_S.at(-1);
    pen.textAlign = "center";
    for (let tick = Math.ceil(this.view.startS / step); tick * step <= this.view.endS; tick++) {
      const x = this.x(tick * step);
      pen.fillStyle = ink.line;
      pen.fillRect(Math.round(x), AXIS_PX - 4, 1, TIMELINE_PX - AXIS_PX + 4);
      pen.fillStyle = ink.quiet;
      const text = clockText(tick * step, step < 1 ? 1 : 0), half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(x, GUTTER_PX + this.plotWidth + RIGHT_PX - half - 2), 12);
    }
  }

  drawName(pen, ink, person) {
    pen.textAlign = "center";
    pen.fillStyle = ink[person];
    pen.font = "700 20px system-ui, sans-serif";
    pen.fillText(person.toUpperCase(), GUTTER_PX / 2, this.rowTop(person) + ROW_PX / 2 + 7);
    pen.font = "12px system-ui, sans-serif";
  }

  drawPerson(pen, ink, person) {
    const top = this.rowTop(person), middle = top + ROW_PX / 2;
    if (this.view.spanS / this.plotWidth > COARSE_S) {
      this.drawShare(pen, ink[person], person, middle);
      return;
    }
    for (const [startS, endS] of this.data.speech[person]) {
      if (!this.seen(startS, endS)) continue;
      pen.fillStyle = ink[`${person}-soft`];
      this.bar(pen, startS, endS, top + 2, ROW_PX - 4);
      pen.fill();
      this.drawVoice(pen, ink[person], person, startS, endS, middle);
    }
    pen.strokeStyle = ink[person];
    pen.setLineDash([3, 3]);
    for (const turn of this.data.turns) {
      if (turn.kind !== "backchannel" || turn.person !== person) continue;
      if (!this.seen(turn.start_s, turn.end_s)) continue;
      this.bar(pen, turn.start_s, turn.end_s, top + 2, ROW_PX - 4);
      pen.stroke();
    }
    pen.setLineDash([]);
    for (const [startS, endS] of this.data.nods?.[person] ?? [])
      if (this.seen(startS, endS)) this.drawNod(pen, ink.ink, startS, endS, top + ROW_PX - 5);
  }

  // A small wave, as the head goes.
  drawNod(pen, colour, startS, endS, middle) {
    const left = this.x(startS), right = Math.max(this.x(endS), left + 6), waves = 2;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (let step = 0; step <= 8 * waves; step++)
      pen.lineTo(left + step / (8 * waves) * (right - left), middle + 3 * Math.sin(step * Math.PI / 4));
    pen.stroke();
    pen.lineWidth = 1;
  }

  bar(pen, startS, endS, top, height) {
    const left = this.x(startS), width = Math.max(this.x(endS) - left, 2);
    pen.beginPath();
    pen.roundRect(left, top, width, height, Math.min(6, width / 2));
  }

  drawShare(pen, colour, person, middle) {
    const perPx = this.view.spanS / this.plotWidth, spokenS = this.spokenS[person];
    pen.fillStyle = colour;
    for (let x = 0; x < this.plotWidth; x++) {
      const startS = this.view.startS + x * perPx;
      const half = (spokenS(startS + perPx) - spokenS(startS)) / perPx * (ROW_PX / 2 - 2);
      pen.fillRect(GUTTER_PX + x, middle - half, 1, 2 * half);
    }
  }

  // The voice as its loudness, a bar a pixel, the loudest frame of each.
  drawVoice(pen, colour, person, startS, endS, middle) {
    const { fps } = this.data, levels = this.loudness[person], perPx = this.view.spanS / this.plotWidth;
    pen.fillStyle = colour;
    const last = Math.min(this.x(endS), GUTTER_PX + this.plotWidth);
    for (let x = Math.max(Math.floor(this.x(startS)), GUTTER_PX); x < last; x++) {
      const timeS = this.view.startS + (x - GUTTER_PX) * perPx;
      const first = Math.max(Math.floor(timeS * fps), 0);
      let level = QUIET_DB;
      for (let frame = first; frame <= Math.max((timeS + perPx) * fps - 1, first); frame++)
        level = Math.max(level, levels[frame] ?? QUIET_DB);
      const half = Math.max(Math.min((level - QUIET_DB) / (LOUD_DB - QUIET_DB), 1), 0.03) * (ROW_PX / 2 - 6);
      pen.fillRect(x, middle - half, 1, 2 * half);
    }
  }

  // Between the people: filled where both speak, a thin line where the floor is empty.
  drawLane(pen, ink) {
    const top = AXIS_PX + ROW_PX, middle = top + LANE_PX / 2;
    for (const turn of this.data.turns) {
      if (!this.seen(turn.start_s, turn.end_s)) continue;
      const left = this.x(turn.start_s), width = Math.max(this.x(turn.end_s) - left, 1.5);
      pen.fillStyle = turn.kind === "overlap" ? ink.both : ink.quiet;
      if (turn.kind === "overlap") pen.fillRect(left, top + 2, width, LANE_PX - 4);
      if (turn.kind === "gap") pen.fillRect(left, middle - 1, width, 2);
    }
  }
}

class Overview {
  constructor(canvas, data, view) {
    Object.assign(this, { canvas, data, view });
    let held = null;
    const timeAt = event => (event.offsetX - GUTTER_PX) / this.plotWidth * data.durationS;
    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      const timeS = timeAt(event);
      const inside = timeS >= view.startS && timeS <= view.endS;
      held = inside ? timeS - view.startS : view.spanS / 2;
      view.show(timeS - held, timeS - held + view.spanS);
    });
    canvas.addEventListener("pointermove", event => {
      if (held !== null) view.show(timeAt(event) - held, timeAt(event) - held + view.spanS);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
  }

  draw() {
    const height = 22;
    const [pen, width] = prepared(this.canvas, height);
    const ink = colours();
    this.plotWidth = width - GUTTER_PX - RIGHT_PX;
    const x = timeS => GUTTER_PX + timeS / this.data.durationS * this.plotWidth;
    PEOPLE.forEach((person, row) => {
      pen.fillStyle = ink[person];
      for (const [startS, endS] of this.data.speech[person])
        pen.fillRect(x(startS), 5 + row * 7, Math.max(x(endS) - x(startS), 0.7), 5);
    });
    pen.strokeStyle = ink.ink;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.roundRect(x(this.view.startS), 1, Math.max(x(this.view.endS) - x(this.view.startS), 4), height - 2, 4);
    pen.stroke();
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

  // Rebuilt when the width or the colours change; a change of view only moves the scale.
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

  // Values at a frame, in the chart's corner.
  say(frame) {
    const { curve } = this;
    this.values.replaceChildren(...PEOPLE.map(person => element("span", {
      className: person,
      textContent: `${person.toUpperCase()} ${(curve[person][frame] / curve.scale).toFixed(curve.digits)}`,
    })));
  }
}
