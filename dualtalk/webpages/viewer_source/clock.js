// What time it is in the conversation: the sound's own clock, or where there is none, the computer's.

// Plays nothing, at the wanted speed.
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

  hear() {}
}

// A stereo sound, a person a channel. The element keeps the voices' pitch at half speed; the graph behind it, made
// when first played since browsers want a gesture for that, lets either be muted.
export class SoundClock {
  constructor(bytes, type, onChange) {
    this.element = new Audio(URL.createObjectURL(new Blob([bytes], { type })));
    this.element.preservesPitch = true;
    this.heard = [true, true];
    for (const event of ["play", "pause", "ended"]) this.element.addEventListener(event, onChange);
  }

  // What reaches the ear left the element some time ago.
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
    this.gains = this.heard.map((on, channel) => {
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

  hear(person, on) {
    this.heard[person] = on;
    this.gains?.[person].gain.setTargetAtTime(Number(on), this.context.currentTime, 0.01);
  }
}
