// Generate forever (A1111's name, and its right click): the next job is asked for as soon as one is done. An interrupt,
// a failure or a refusal ends it.

import { action } from "./dom.js";

export class Forever {
  #button; // only the tabs that draw have one

  /** `begin()` is called when it is switched on. */
  constructor(run, begin) {
    this.#button = run.querySelector('[data-action="forever"]');
    if (!this.#button) return;
    const toggle = () => {
      this.set(!this.on);
      if (this.on) begin();
    };
    this.#button.addEventListener("click", toggle);
    for (const name of ["generate", "interrupt"]) {
      action(name, run).addEventListener("contextmenu", (event) => {
        event.preventDefault();
        toggle();
      });
    }
  }

  get on() {
    return this.#button?.getAttribute("aria-pressed") === "true";
  }

  set(on) {
    this.#button?.setAttribute("aria-pressed", String(on));
  }
}
