// Work on model files that takes long: what the server does in the background, and what this page is sending.

import { call, get, post } from "./api.js";
import { size } from "./details.js";
import { duration, make, one } from "./dom.js";
import { t } from "./words.js";

const AGAIN = 700; // milliseconds between looks while something goes on
const OPEN = ["waiting", "running"];
const WHAT = { hash: "Computing hashes", copy: "Copying", move: "Moving", download: "Downloading", upload: "Sending" };
const STATES = { waiting: "Waits for its turn", paused: "Paused", failed: "Failed", cancelled: "Cancelled", done: "Done" };

export class ModelTasks {
  mayLook = false;
  #list;
  #ended;
  #timer = 0;
  #own = new Map(); // uploads of this page
  #before = new Map(); // id -> {done, at, rate}
  #states = null; // by id, at the last look; null before the first

  /** `ended()` is told when a task has come to an end. */
  constructor(list, ended) {
    this.#list = list;
    this.#ended = ended;
  }

  /** Show an upload of this page: {id, label, state, done, total, sentence, cancel()}. */
  show(upload) {
    this.#own.set(upload.id, { what: "upload", resumable: false, ...upload });
    this.look();
  }

  forget(id) {
    this.#own.delete(id);
    this.look();
  }

  /** An upload of this page is at its place. */
  arrived() {
    this.#ended();
  }

  async look() {
    clearTimeout(this.#timer);
    const tasks = this.mayLook ? await get("models/tasks").catch(() => []) : [];
    clearTimeout(this.#timer); // of another look meanwhile
    const shown = [...this.#own.values(), ...tasks].filter(({ state }) => state !== "cancelled");
    this.#draw(shown);
    if (this.#haveEnded(tasks)) this.#ended();
    if (shown.some(({ state }) => OPEN.includes(state))) this.#timer = setTimeout(() => this.look(), AGAIN);
  }

  // Since the last look; a short one may have begun and ended between two.
  #haveEnded(tasks) {
    const before = this.#states;
    this.#states = new Map(tasks.map(({ id, state }) => [id, state]));
    if (!before) return false;
    const gone = [...before].some(([id, state]) => OPEN.includes(state) && !this.#states.has(id));
    return gone || tasks.some(({ id, state }) => !OPEN.includes(state) && before.get(id) !== state);
  }

  #draw(tasks) {
    const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
    this.#list.hidden = !tasks.length;
    this.#list.replaceChildren(...tasks.map((task) => this.#item(task)));
    if (focused) one(`[data-key="${focused}"]`, this.#list)?.focus();
  }

  #item(task) {
    const name = make("b", { textContent: task.label, translate: false });
    const words = make("span", { className: "task-words", textContent: this.#words(task) });
    const item = make("li", { className: "model-task" }, make("div", { className: "task-name" }, make("span", { textContent: WHAT[task.what] }), name), words);
    if (OPEN.includes(task.state) || task.state === "paused") {
      const bar = make("progress", { max: task.total || 1, ariaLabel: task.label });
      if (task.total !== null) bar.value = task.done;
      item.append(bar);
    }
    item.dataset.state = task.state;
    item.append(this.#buttons(task));
    return item;
  }

  #words(task) {
    if (task.state !== "running") return task.sentence || STATES[task.state];
    if (task.sentence) return task.sentence;
    const done = size(task.done) || "0 B";
    if (task.total === null) return done;
    const rate = this.#rate(task);
    const total = size(task.total);
    if (!rate) return t("{done} of {total}", { done, total });
    return t("{done} of {total}, {rate} a second, {time} left", { done, total, rate: size(rate), time: duration((task.total - task.done) / rate) });
  }

  // Bytes a second, evened out.
  #rate({ id, done }) {
    const now = performance.now();
    const before = this.#before.get(id);
    const fresh = before && now > before.at ? ((done - before.done) * 1000) / (now - before.at) : 0;
    const rate = before?.rate ? 0.8 * before.rate + 0.2 * fresh : fresh;
    this.#before.set(id, { done, at: now, rate });
    return Math.max(0, rate);
  }

  #buttons(task) {
    const row = make("span", { className: "task-buttons" });
    const add = (words, work) => {
      const button = make("button", { type: "button", className: "second small", textContent: words });
      button.dataset.key = `${task.id} ${words}`;
      button.addEventListener("click", async () => {
        await Promise.resolve(work()).catch(() => {});
        await this.look();
      });
      row.append(button);
    };
    const open = OPEN.includes(task.state);
    if (open && task.what === "download") add("Pause", () => post(`models/tasks/${task.id}/pause`));
    if (task.resumable) add("Continue", () => post(`models/tasks/${task.id}/resume`));
    const end = task.cancel ?? (() => call("DELETE", `models/tasks/${task.id}`));
    add(open || task.resumable ? "Cancel" : "Put away", end);
    return row;
  }
}
