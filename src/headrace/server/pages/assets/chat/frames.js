/** Draws at most once a frame; in a tab that no one sees, which has no frames, 4 times a second. */
export class Frames {
  #draw;
  #frame = 0;
  #timer = 0;

  /** @param {() => void} draw */
  constructor(draw) {
    this.#draw = draw;
    document.addEventListener("visibilitychange", () => {
      if (this.#frame || this.#timer) this.flush(); // a frame that was asked for may never come
    });
  }

  /** Soon. */
  request() {
    if (this.#frame || this.#timer) return;
    if (document.hidden) this.#timer = setTimeout(() => this.flush(), 250);
    else this.#frame = requestAnimationFrame(() => this.flush());
  }

  /** Now. */
  flush() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = this.#timer = 0;
    this.#draw();
  }
}
