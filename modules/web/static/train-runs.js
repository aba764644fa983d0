// The runs there were and are: a line each, to look at, go on with, or throw away.

import { get } from "./api.js";
import { action, make, one, say } from "./dom.js";
import { isBusy, Run, stateWords } from "./train-run.js";
import { sentence } from "./train-set.js";
import { date, number, t } from "./words.js";

export class Runs {
  #root;
  #run;
  #runs = [];

  constructor(root, run) {
    this.#root = one("[data-runs]", root);
    this.#run = run;
    action("refresh-runs", this.#root).addEventListener("click", () => this.load());
    document.addEventListener("visibilitychange", () => !document.hidden && this.load());
    let before = null; // what is shown in a line
    run.onChange((info) => {
      const now = info && `${info.run} ${info.state}`;
      if (now === before) return;
      before = now;
      this.load();
    });
  }

  get all() {
    return this.#runs;
  }

  async load() {
    const runs = await get("training/runs").catch(() => null);
    if (runs) this.#runs = runs;
    this.#draw();
    return this.#runs;
  }

  /** The run to show first: the one that goes, else one that waits, else the newest. */
  get first() {
    const running = this.#runs.find(({ state }) => state === "running");
    return running ?? this.#runs.find(isBusy) ?? this.#runs[0] ?? null;
  }

  #draw() {
    this.#root.hidden = !this.#runs.length;
    one("[data-run-empty]", this.#root.parentElement).hidden = this.#runs.length > 0;
    const focused = document.activeElement?.closest?.("[data-of-run]")?.dataset.ofRun;
    one("[data-runs-list]", this.#root).replaceChildren(...this.#runs.map((run) => this.#line(run)));
    if (focused) one(`[data-of-run="${CSS.escape(focused)}"] button`, this.#root)?.focus();
  }

  #line(run) {
    const shown = run.run === this.#run.id;
    const parts = [run.method === "LoRA" ? "LoRA" : t("a new word"), t("{step} of {n} steps", { step: number(run.step), n: number(run.steps) }), when(run.created)];
    const open = make("button", { type: "button", className: "run-open" }, make("b", { translate: false, textContent: run.name }), make("span", { className: "run-lamp", textContent: stateWords(run) }), make("span", { className: "run-facts", textContent: parts.filter(Boolean).join(" · ") }));
    one(".run-lamp", open).dataset.state = run.state;
    if (shown) open.setAttribute("aria-current", "true");
    open.addEventListener("click", async () => {
      await this.#run.open(run.run);
      this.#draw();
      one("[data-run-view]", this.#root.parentElement).scrollIntoView({ block: "nearest" });
    });
    const line = make("li", {}, open, this.#trash(run));
    line.dataset.ofRun = run.run;
    return line;
  }

  // Thrown away by a second press.
  #trash(run) {
    const button = make("button", { type: "button", className: "quiet", textContent: "Delete", ariaLabel: t("Delete {name}", run), disabled: isBusy(run) });
    button.addEventListener("click", async () => {
      if (!button.dataset.sure) {
        button.dataset.sure = "yes";
        button.textContent = "Move it to the trash?";
        button.ariaLabel = t("Move {name} to the trash?", run);
        return;
      }
      try {
        await Run.remove(run.run);
        if (this.#run.id === run.run) this.#run.close();
        await this.load();
      } catch (error) {
        button.disabled = true;
        say(one("[data-run-problem-text]", this.#root.parentElement), sentence(error));
      }
    });
    button.addEventListener("blur", () => {
      delete button.dataset.sure;
      button.textContent = "Delete";
      button.ariaLabel = t("Delete {name}", run);
    });
    return button;
  }
}

/** A time of the server (seconds, or a date's text) as a short date. */
function when(created) {
  const time = new Date(typeof created === "number" ? created * 1000 : created);
  if (Number.isNaN(time.getTime())) return "";
  return date(time, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
