// The playback clock: the audio element's own clock, or the system clock if the page has no sound.

// Plays no sound, at the selected speed.
export class SilentClock {
  constructor(durationS, onChange) {
    Object.assign(this, { durationS, onChange, paused: true, speed: 1, sinceS: 0, startMs: 0 });
  }

  get timeS() {
    if (this.paused) return this.sinceS;
    const nowS = this.sinceS + this.speed * (performance.now() - this.startMs) / 1000;
    if (nowS < this.durationS) return nowS;
    this.sinceS = this.durationS;
    this.paused = true;
    this.onChange();
    return this.sinceS;
  }

  async play() {
    this.startMs = performance.now();
    this.paused = false;
    this.onChange();
  }

  pause() {
    this.sinceS = this.timeS;
    this.paused = true;
    this.onChange();
  }

  seek(toS) {
    this.sinceS = toS;
    this.startMs = performance.now();
  }

  setSpeed(speed) {
    this.seek(this.timeS);
    this.speed = speed;
  }

  setAudible() {}
}

// A stereo sound with one person per channel. The audio element preserves the voices' pitch at half speed. The audio
// graph behind it mutes either channel; it is created on first play, because browsers require a user gesture for it.
export class SoundClock {
  constructor(bytes, type, onChange) {
    this.element = new Audio(URL.createObjectURL(new Blob([bytes], { type })));
    this.element.preservesPitch = true;
    this.audible = [true, true];
    for (const event of ["play", "pause", "ended"]) this.element.addEventListener(event, onChange);
  }

  // Subtracts the output latency: the sound leaves the speakers later than it leaves the element.
  get timeS() {
    const delayS = this.element.paused ? 0 : (this.context?.outputLatency ?? 0) * this.element.playbackRate;
    return Math.max(this.element.currentTime - delayS, 0);
  }

  get paused() { return this.element.paused; }
  get speed() { return this.element.playbackRate; }

  connect() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    const splitter = this.context.createChannelSplitter(2), merger = this.context.createChannelMerger(2);
    this.context.createMediaElementSource(this.element).connect(splitter);
    this.gains = this.audible.map((on, channel) => {
      const gain = new GainNode(this.context, { gain: Number(on) });
      splitter.connect(gain, channel).connect(merger, 0, channel);
      return gain;
    });
    merger.connect(this.context.destination);
  }

  async play() {
    if (!this.context) this.connect();
    await this.context.resume();
    await this.element.play();
  }

  pause() { this.element.pause(); }
  seek(toS) { this.element.currentTime = toS; }
  setSpeed(speed) { this.element.playbackRate = speed; }

  setAudible(person, on) {
    this.audible[person] = on;
    this.gains?.[person].gain.setTargetAtTime(Number(on), this.context.currentTime, 0.01);
  }
}
