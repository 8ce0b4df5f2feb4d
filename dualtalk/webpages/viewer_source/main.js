// The page: connects the 3D scene, the sound, the timeline and the controls.

import { ChartsPanel } from "./charts_panel.js";
import { SilentClock, SoundClock } from "./clock.js";
import { Glb } from "./glb.js";
import { load } from "./load.js";
import { Person } from "./person.js";
import { Stage } from "./stage.js";

const PEOPLE = ["a", "b"];
// Interval of text updates; the picture is drawn at the screen's refresh rate.
const TEXT_UPDATE_MS = 80;
// Weight of the last frame in the running mean of the frame time, and the longest frame time that it takes into account.
const FRAME_SMOOTHING = 0.1, SLOWEST_MS = 100;

class Viewer {
  constructor({ data, arrays, glb, sound }) {
    this.data = data;
    this.people = PEOPLE.map(label => new Person(new Glb(glb), label, arrays.source));
    this.clock = this.startClock(sound);
    this.dirty = true;
    this.frameMs = 0;
    this.panel = new ChartsPanel(data, timeS => this.seek(timeS));
    this.stage = new Stage(byId("stage"), data, arrays, this.people, () => { this.dirty = true; });
    this.drift = new Drift();
    this.muted = [false, false];
    this.loopSpan = null;
    this.lastTextMs = 0;
    this.writeHeader();
    this.connectControls();
    new ResizeObserver(() => this.stage.resize()).observe(this.stage.box);
    requestAnimationFrame(nowMs => this.tick(nowMs));
  }

  startClock(sound) {
    const changed = () => { this.dirty = true; this.showState(); };
    if (!sound) return new SilentClock(this.data.durationS, changed);
    const clock = new SoundClock(sound, this.data.sound, changed);
    clock.element.addEventListener("error", () => {
      this.clock = new SilentClock(this.data.durationS, changed);
      this.note("This browser cannot play the sound of this page, so playback is silent.");
    });
    return clock;
  }

  // ---- time

  get timeS() { return Math.min(this.clock.timeS, this.data.durationS); }

  // A motion frame stands for the middle of its 0.04 s.
  frameAt(timeS) { return timeS * this.data.fps - 0.5; }

  // A picture stays on the screen until the next one, so it shows the middle of that interval.
  leadS() { return this.clock.speed * this.frameMs / 2000; }

  tick(nowMs) {
    requestAnimationFrame(laterMs => this.tick(laterMs));
    const playing = !this.clock.paused;
    if (!playing && !this.dirty) {
      this.lastMs = null;
      return;
    }
    if (playing) this.applyLoop();
    if (playing && this.lastMs) {
      this.frameMs += FRAME_SMOOTHING * (Math.min(nowMs - this.lastMs, SLOWEST_MS) - this.frameMs);
      this.stage.recordFrameTime(nowMs - this.lastMs);
      this.drift.recordReplaced(this.timeS, nowMs);
    }
    this.lastMs = playing ? nowMs : null;
    this.dirty = false;
    const timeS = this.timeS, drawnS = playing ? timeS + this.leadS() : timeS;
    this.stage.pose(this.frameAt(drawnS));
    this.stage.draw();
    if (playing) this.drift.recordDrawn(drawnS, this.timeS, this.clock.speed);
    this.showTime(timeS, nowMs, playing);
  }

  applyLoop() {
    if (this.loopSpan && this.timeS >= this.loopSpan[1]) this.jump(this.loopSpan[0]);
  }

  jump(toS) {
    this.clock.seek(Math.min(Math.max(toS, 0), this.data.durationS));
    this.drift.interrupted();
    this.dirty = true;
  }

  seek(toS) {
    if (this.loopSpan && (toS < this.loopSpan[0] || toS >= this.loopSpan[1])) this.setLoop(null);
    this.jump(toS);
  }

  async togglePlay() {
    if (!this.clock.paused) {
      this.clock.pause();
      return;
    }
    if (this.timeS >= this.data.durationS - 0.01) this.jump(0);
    this.drift.interrupted();
    await this.clock.play();
  }

  step(frames) {
    this.clock.pause();
    const frame = Math.round(this.frameAt(this.timeS)) + frames;
    this.seek((Math.min(Math.max(frame, 0), this.data.frames - 1) + 0.5) / this.data.fps);
  }

  // ---- choices

  show(name) {
    this.stage.show(name);
    this.showState();
  }

  setMuted(person, muted) {
    this.muted[person] = muted;
    this.clock.setAudible(person, !muted);
    this.showState();
  }

  // Cycles through nobody, A and B.
  muteNext() {
    const next = this.muted[0] ? [false, true] : this.muted[1] ? [false, false] : [true, false];
    next.forEach((muted, person) => this.setMuted(person, muted));
  }

  toggleSpeed() {
    this.clock.setSpeed(this.clock.speed === 1 ? 0.5 : 1);
    this.drift.interrupted();
    this.showState();
  }

  // Loops the current turn, or the next one, or the last one.
  toggleLoop() {
    if (this.loopSpan) {
      this.setLoop(null);
      return;
    }
    const turns = this.data.turns.filter(turn => turn.kind === "turn");
    const turn = turns.find(({ end_s }) => end_s > this.timeS) ?? turns.at(-1);
    if (!turn) return;
    this.setLoop([turn.start_s, Math.min(turn.end_s, this.data.durationS - 0.02)]);
    if (this.timeS < turn.start_s || this.timeS >= turn.end_s) this.jump(turn.start_s);
  }

  setLoop(span) {
    this.loopSpan = span;
    this.panel.loop(span);
    this.showState();
  }

  toggleFullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.box.requestFullscreen?.();
  }

  // ---- text

  writeHeader() {
    byId("name").textContent = this.data.name;
    const turns = this.data.turns.filter(turn => turn.kind === "turn").length;
    byId("summary").textContent = `${clockText(this.data.durationS)} of conversation, ${counted(turns, "turn")}`;
    writeNotes(this.data.notes);
    const marks = [["a", "A’s voice"], ["b", "B’s voice"], ["both", "overlap"], ["dashed", "backchannel"],
      ["gap", "gap between turns"], ["wave", "nod"]];
    byId("legend").append(...marks.map(([mark, text]) =>
      element("span", { className: "entry" }, element("i", { className: mark }), text)));
  }

  note(text) { writeNotes([text]); }

  connectControls() {
    this.presets = this.data.presets.map((preset, number) => {
      const button = element("button", { type: "button", textContent: preset.label, title: `key ${number + 1}` });
      button.addEventListener("click", () => this.show(preset.name));
      return button;
    });
    byId("presets").append(...this.presets);
    const pressed = {
      play: () => this.togglePlay(), speed: () => this.toggleSpeed(), "loop-turn": () => this.toggleLoop(),
      fullscreen: () => this.toggleFullscreen(), "mute-a": () => this.setMuted(0, !this.muted[0]),
      "mute-b": () => this.setMuted(1, !this.muted[1]),
    };
    for (const [id, act] of Object.entries(pressed)) byId(id).addEventListener("click", act);
    byId("mute-a").hidden = byId("mute-b").hidden = !this.data.sound;
    byId("fullscreen").hidden = !document.fullscreenEnabled;
    byId("channels").addEventListener("toggle", () => this.panel.showValues());
    document.addEventListener("keydown", event => this.key(event), true);
    this.showState();
  }

  key(event) {
    const second = event.shiftKey ? 5 : 1;
    const keys = {
      " ": () => this.togglePlay(), m: () => this.muteNext(), l: () => this.toggleLoop(), h: () => this.toggleSpeed(),
      f: () => this.toggleFullscreen(),
      ArrowLeft: () => this.seek(this.timeS - second), ArrowRight: () => this.seek(this.timeS + second),
      Home: () => this.seek(0), ",": () => this.step(-1), ".": () => this.step(1),
      "+": () => this.panel.view.zoom(this.timeS, 0.6), "-": () => this.panel.view.zoom(this.timeS, 1 / 0.6),
      0: () => this.panel.view.show(0, this.data.durationS),
    };
    this.data.presets.forEach((preset, number) => { keys[number + 1] = () => this.show(preset.name); });
    const pressable = event.key === " " && document.activeElement?.closest("button, summary");
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey || pressable) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  showState() {
    if (!this.presets) return;
    this.stage.setPlaying(!this.clock.paused);
    byId("play").textContent = this.clock.paused ? "Play" : "Pause";
    const on = { speed: this.clock.speed !== 1, "loop-turn": Boolean(this.loopSpan), "mute-a": this.muted[0], "mute-b": this.muted[1] };
    for (const [id, pressed] of Object.entries(on)) byId(id).ariaPressed = String(pressed);
    this.presets.forEach((button, number) => {
      button.ariaPressed = String(this.data.presets[number] === this.stage.preset);
    });
    PEOPLE.forEach((person, number) => byId(`plate-${person}`).classList.toggle("muted", this.muted[number]));
  }

  showTime(timeS, nowMs, playing) {
    PEOPLE.forEach(person => {
      const speaks = this.data.speech[person].some(([startS, endS]) => startS <= timeS && timeS < endS);
      byId(`plate-${person}`).classList.toggle("speaks", speaks);
    });
    if (playing && nowMs - this.lastTextMs < TEXT_UPDATE_MS) return;
    this.lastTextMs = nowMs;
    byId("time").textContent = `${clockText(timeS, 1)} / ${clockText(this.data.durationS, 1)}`;
    this.panel.setTime(timeS, playing);
  }
}

// The offset between picture and sound during playback: `drawnMs` when a frame is drawn, `replacedMs` just before the next
// frame replaces it, when the offset is largest. Positive: the sound is ahead.
class Drift {
  constructor() { this.reset(); }

  reset() { Object.assign(this, { drawnMs: [], replacedMs: [], framesMs: [], last: null }); }

  interrupted() { this.last = null; }

  recordDrawn(drawnS, soundS, speed) {
    this.drawnMs.push(1000 * (soundS - drawnS) / speed);
    this.last = { drawnS, speed, atMs: performance.now() };
  }

  recordReplaced(soundS, nowMs) {
    if (!this.last) return;
    this.replacedMs.push(1000 * (soundS - this.last.drawnS) / this.last.speed);
    if (this.lastMs) this.framesMs.push(nowMs - this.lastMs);
    this.lastMs = nowMs;
  }

  get summary() {
    const largest = values => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const mean = values => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
    return {
      frames: this.drawnMs.length, framesPerSecond: 1000 / mean(this.framesMs),
      largestDrawnMs: largest(this.drawnMs), largestReplacedMs: largest(this.replacedMs),
      meanReplacedMs: mean(this.replacedMs), slowestFrameMs: largest(this.framesMs),
    };
  }
}

// The scripting interface; see docs/viewer.md.
function scriptInterface(viewer) {
  return {
    viewer,
    get timeS() { return viewer.timeS; },
    get drift() { return viewer.drift.summary; },
    get pixelRatio() { return viewer.stage.playPixelRatio; },
    resetDrift: () => viewer.drift.reset(),
    play: () => viewer.clock.play(), pause: () => viewer.clock.pause(), seek: timeS => viewer.seek(timeS),
    show: name => viewer.show(name),
    picture: (frame, width, height) => viewer.stage.picture(frame, width, height),
    vertices(person, frame) {
      const one = viewer.people[PEOPLE.indexOf(person)];
      one.pose(frame);
      viewer.dirty = true;
      return Array.from(one.posed);
    },
  };
}

function failed(error) {
  writeNotes([`This browser cannot show this page: ${error.message}`]);
  throw error;
}

window.dualtalkViewer = { ready: load().then(loaded => {
  const viewer = new Viewer(loaded);
  window.dualtalkViewer = Object.defineProperties({ ready: window.dualtalkViewer.ready },
    Object.getOwnPropertyDescriptors(scriptInterface(viewer)));
  document.body.classList.add("ready");
}).catch(failed) };
