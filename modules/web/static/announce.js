// What is said to people who listen to the page: one polite live region, one thing after another, never each step.

import { make } from "./dom.js";

const APART = 1200; // milliseconds: a screen reader passes over what is replaced at once
const QUARTERS = [0.25, 0.5, 0.75];

class Announcer {
  #region = null;
  #waiting = []; // [text, about]
  #timer = 0;

  /** Put the region on the page: one that comes together with its words is not heard. */
  begin() {
    if (this.#region) return;
    this.#region = make("div", { className: "announcer" });
    this.#region.setAttribute("role", "status");
    this.#region.setAttribute("aria-live", "polite");
    document.body.append(this.#region);
  }

  /** Say a sentence; a later one `about` the same thing takes the place of one that still waits. */
  say(text, about = "") {
    if (!text) return;
    this.begin();
    if (about) this.forget(about);
    this.#waiting.push([text, about]);
    if (!this.#timer) this.#next();
  }

  /** What waits about that is not to be said any more. */
  forget(about) {
    this.#waiting = this.#waiting.filter(([, other]) => other !== about);
  }

  #next() {
    const [text] = this.#waiting.shift() ?? [];
    // A new element each time: the same words twice are said twice.
    if (text) this.#region.replaceChildren(make("span", { textContent: text }));
    this.#timer = text ? setTimeout(() => this.#next(), APART) : 0;
  }
}

export const announcer = new Announcer();

/** Sentences about something that takes long: at its quarters, with at least `apart` milliseconds between them. */
export class Quarters {
  #apart;
  #said = 0; // how many quarters
  #at = 0;

  constructor(apart) {
    this.#apart = apart;
    this.begin();
  }

  begin() {
    this.#said = 0;
    this.#at = performance.now();
  }

  /** Whether `fraction` is worth a sentence now. */
  reached(fraction) {
    const passed = QUARTERS.filter((quarter) => fraction >= quarter).length;
    if (passed <= this.#said) return false;
    this.#said = passed;
    if (fraction >= 1 || performance.now() - this.#at < this.#apart) return false;
    this.#at = performance.now();
    return true;
  }
}
