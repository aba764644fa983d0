// The title of the browser's tab: how far the work is, in A1111's words, and what has ended while nobody looked.

const pad = (number) => String(number).padStart(2, "0");

class PageTitle {
  #usual = null; // the title without our words
  #courses = new Map(); // who works -> words
  #news = "";

  constructor() {
    const seen = () => !document.hidden && this.#seen();
    document.addEventListener("visibilitychange", seen);
    addEventListener("focus", seen);
  }

  /** `who` is at `fraction` of its work, with `left` seconds to go where that is known. */
  show(who, fraction, left = null) {
    const percent = Math.floor(100 * fraction);
    if (percent) this.#courses.set(who, `${percent}%${left === null ? "" : ` ETA: ${clock(left)}`}`);
    else this.#courses.delete(who);
    this.#draw();
  }

  /** `who` works no more. */
  clear(who) {
    this.#courses.delete(who);
    this.#draw();
  }

  /** Show words until somebody looks at the page. */
  tell(words) {
    this.#news = words;
    this.#draw();
  }

  #seen() {
    if (!this.#news) return;
    this.#news = "";
    this.#draw();
  }

  // The newest work is what a person waits for.
  #draw() {
    this.#usual ??= document.title;
    const words = [...this.#courses.values()].at(-1);
    const title = words ? `[${words}] ${this.#usual}` : this.#news ? `${this.#news} · ${this.#usual}` : this.#usual;
    if (document.title !== title) document.title = title;
  }
}

/** Seconds as A1111's title has them. */
function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) return `${pad(hours)}:${pad(minutes)}:${pad(whole % 60)}`;
  return minutes ? `${pad(minutes)}:${pad(whole % 60)}` : `${whole}s`;
}

export const pageTitle = new PageTitle();
