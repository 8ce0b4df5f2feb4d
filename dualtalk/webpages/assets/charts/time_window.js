// The time window that all charts show, and the gestures that change it.

const GUTTER_PX = 56, RIGHT_PX = 20;
const MIN_SPAN_S = 0.4;
// A long conversation opens on this many seconds from its beginning; the overview moves the window.
const INITIAL_SPAN_S = 120;
const CLICK_PX = 4;
// While the page scrolls, the wheel keeps scrolling the page.
const SCROLLING_MS = 400;

class TimeWindow {
  constructor(durationS) {
    this.durationS = durationS;
    this.startS = 0;
    this.endS = Math.min(durationS, INITIAL_SPAN_S);
    this.listeners = [];
  }

  get spanS() { return this.endS - this.startS; }
  get isWhole() { return this.spanS >= this.durationS - 1e-6; }

  show(startS, endS) {
    const span = Math.min(Math.max(endS - startS, Math.min(MIN_SPAN_S, this.durationS)), this.durationS);
    this.startS = Math.min(Math.max(startS, 0), this.durationS - span);
    this.endS = this.startS + span;
    for (const listener of this.listeners) listener();
  }

  zoom(aboutS, factor) {
    this.show(aboutS - (aboutS - this.startS) * factor, aboutS + (this.endS - aboutS) * factor);
  }

  move(byS) { this.show(this.startS + byS, this.endS + byS); }

  follow(timeS) {
    if (timeS < this.startS || timeS > this.endS) this.show(timeS - 0.05 * this.spanS, timeS + 0.95 * this.spanS);
  }
}

class Gestures {
  // `surface` is the element that contains all charts. `onSeek` and `onHover` receive a time in seconds; `onHover` receives
  // null when the pointer leaves.
  constructor(surface, selection, view, { onSeek, onHover }) {
    Object.assign(this, { surface, selection, view, onSeek, onHover });
    this.touches = new Map();
    this.drag = null;
    this.lastScroll = -Infinity;
    addEventListener("scroll", () => { this.lastScroll = performance.now(); }, { passive: true });
    surface.addEventListener("wheel", event => this.wheel(event), { passive: false });
    surface.addEventListener("pointerdown", event => this.down(event));
    surface.addEventListener("pointermove", event => this.move(event));
    surface.addEventListener("pointerup", event => this.up(event));
    surface.addEventListener("pointercancel", event => this.cancel(event));
    surface.addEventListener("pointerleave", () => this.onHover(null));
    surface.addEventListener("dblclick", () => view.show(0, view.durationS));
  }

  get plotWidth() { return this.surface.clientWidth - GUTTER_PX - RIGHT_PX; }

  timeAt(clientX) {
    const share = (clientX - this.surface.getBoundingClientRect().left - GUTTER_PX) / this.plotWidth;
    return this.view.startS + Math.min(Math.max(share, 0), 1) * this.view.spanS;
  }

  pixelOf(timeS) { return GUTTER_PX + (timeS - this.view.startS) / this.view.spanS * this.plotWidth; }

  wheel(event) {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      if (this.view.isWhole) return;
      event.preventDefault();
      this.view.move(sideways / this.plotWidth * this.view.spanS);
      return;
    }
    if (this.view.isWhole && event.deltaY > 0) return;
    if (!event.ctrlKey && performance.now() - this.lastScroll < SCROLLING_MS) return;
    event.preventDefault();
    // A pinch on a touchpad arrives as small wheel steps with ctrl.
    this.view.zoom(this.timeAt(event.clientX), Math.exp(event.deltaY * (event.ctrlKey ? 0.01 : 0.002)));
  }

  down(event) {
    if (event.button) return;
    this.surface.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.touches.set(event.pointerId, event.clientX);
    this.drag = { x: event.clientX, startS: this.timeAt(event.clientX), isDrag: this.touches.size > 1 };
  }

  move(event) {
    this.onHover(this.timeAt(event.clientX), event);
    if (!this.drag) return;
    if (Math.abs(event.clientX - this.drag.x) > CLICK_PX) this.drag.isDrag = true;
    if (this.touches.has(event.pointerId)) this.moveTouch(event);
    else if (this.drag.isDrag) this.select(this.drag.startS, this.timeAt(event.clientX));
  }

  moveTouch(event) {
    const before = [...this.touches.values()];
    const movedPx = event.clientX - this.touches.get(event.pointerId);
    this.touches.set(event.pointerId, event.clientX);
    const after = [...this.touches.values()];
    if (after.length === 1) {
      if (this.drag.isDrag) this.view.move(-movedPx / this.plotWidth * this.view.spanS);
    } else {
      const apart = xs => Math.max(Math.abs(xs[0] - xs[1]), 10);
      this.view.zoom(this.timeAt((after[0] + after[1]) / 2), apart(before) / apart(after));
    }
  }

  up(event) {
    const { drag } = this;
    const touch = this.touches.delete(event.pointerId);
    if (this.touches.size) return;
    this.drag = null;
    this.selection.hidden = true;
    if (!drag) return;
    const endS = this.timeAt(event.clientX);
    if (!drag.isDrag) this.onSeek(endS);
    else if (!touch) this.view.show(Math.min(drag.startS, endS), Math.max(drag.startS, endS));
  }

  cancel(event) {
    this.touches.delete(event.pointerId);
    this.drag = null;
    this.selection.hidden = true;
  }

  select(fromS, toS) {
    const [left, right] = [this.pixelOf(fromS), this.pixelOf(toS)].sort((x, y) => x - y);
    this.selection.hidden = false;
    this.selection.style.left = `${left}px`;
    this.selection.style.width = `${right - left}px`;
  }
}
