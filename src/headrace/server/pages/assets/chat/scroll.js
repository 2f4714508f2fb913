/**
 * Keeps the end of a scrolling element in view while it grows, until its reader scrolls up; again
 * once they are back at the end.
 */
const NEAR = 48; // pixels from the end that still count as the end

export class Following {
  on = true;
  #element;
  #changed;
  #last = 0; // where it stood, as far as we know

  /** @param {HTMLElement} element @param {() => void} changed Called when `on` is another. */
  constructor(element, changed) {
    this.#element = element;
    this.#changed = changed;
    // The composer grows, a keyboard opens, a phone is turned.
    new ResizeObserver(() => this.grown()).observe(element);
    element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Who opens something in an answer wants to read that.
    element.addEventListener("click", ({ target }) => {
      if (target.closest("summary")) this.#turn(false);
    });
  }

  /** What is shown may have grown. */
  grown() {
    if (this.on) this.toEnd();
    else this.#turn(this.#atEnd());
  }

  /** To the end, and stay there. */
  toEnd() {
    this.#turn(true);
    this.#element.scrollTop = this.#element.scrollHeight;
    this.#last = this.#element.scrollTop;
  }

  #scrolled() {
    const { scrollTop } = this.#element;
    // Whatever moves it up is the reader; text that is withdrawn moves it up, too, but to the end.
    if (this.#atEnd()) this.#turn(true);
    else if (scrollTop < this.#last - 1) this.#turn(false);
    this.#last = scrollTop;
  }

  #atEnd() {
    const { scrollHeight, clientHeight, scrollTop } = this.#element;
    return scrollHeight - clientHeight - scrollTop < NEAR;
  }

  #turn(on) {
    if (on === this.on) return;
    this.on = on;
    this.#changed();
  }
}
