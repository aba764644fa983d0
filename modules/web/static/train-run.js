// Step 4 of the Train tab: a run as it goes. The run is the server's; this page only follows it, so that a reload, a
// second tab or a phone finds it again with its whole history.

import { announcer, Quarters } from "./announce.js";
import { address, call, get, post } from "./api.js";
import { action, later, make, one, say } from "./dom.js";
import { endings } from "./endings.js";
import { pageTitle } from "./page-title.js";
import { Curve, short } from "./train-curve.js";
import { fillChoices, Strip } from "./train-strip.js";
import { roughly } from "./train-options.js";
import { sentence } from "./train-set.js";
import { number, t } from "./words.js";

const POLL = 2000; // milliseconds between questions where events do not come
const POINTS = 1200;
const APART = 60_000; // milliseconds between two sentences on how far it is
const HISTORY_EVERY = 30_000; // milliseconds: of a fast run not every step is told, and none while nobody looked
const BUSY = new Set(["running", "waiting"]);
const PICTURES_LATER = 400;
const WORDS = { waiting: "Waiting", running: "Training", paused: "Paused", interrupted: "Stopped", failed: "Failed", done: "Done" };

export const runRoute = (run, rest = "") => `training/runs/${encodeURIComponent(run)}${rest}`;
export const isBusy = ({ state }) => BUSY.has(state);
export const stateWords = ({ state }) => WORDS[state] ?? state;

export class Run {
  #root;
  #curve;
  #strip;
  #tryWord;
  #info = null; // what GET training/runs/RUN says, kept up to date by events
  #last = null; // the newest TrainStep
  #evaluated = null; // the newest evaluation in the curve
  #asked = 0; // when the history was read
  #state = ""; // as it is shown
  #asking = ""; // what was asked for and has not come yet
  #stream = null;
  #timer = 0;
  #quarters = new Quarters(APART);
  #listeners = [];
  #reloadFiles = later(() => this.reload(), PICTURES_LATER);

  /** `tryWord(info, stem)` draws with what was learned; `stem` is the name of its file. */
  constructor(root, tryWord) {
    this.#root = one('[data-step="run"]', root);
    this.#tryWord = tryWord;
    this.#curve = new Curve(one(".curve", this.#root));
    this.#strip = new Strip(this.#root);
    this.#wire();
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  #tell() {
    for (const listener of this.#listeners) listener(this.#info);
  }

  get id() {
    return this.#info?.run ?? null;
  }

  get info() {
    return this.#info;
  }

  get last() {
    return this.#last;
  }

  // --- which run, and following it ---

  /** Show a run, with what it did so far, and follow it where it goes on. */
  async open(run) {
    this.#leave();
    this.#info = null;
    this.#last = null;
    this.#curve.show([], 1);
    one("[data-run-notices]", this.#root).replaceChildren();
    await this.reload(run);
    if (this.id !== run) return;
    await this.#history();
    this.#follow();
  }

  /** Show no run. */
  close() {
    this.#leave();
    this.#info = null;
    this.#last = null;
    pageTitle.clear(this);
    this.#draw();
    this.#tell();
  }

  async reload(run = this.id) {
    if (!run) return;
    try {
      const info = await get(runRoute(run));
      if (this.#info && this.#info.run !== run) return; // another one is shown by now
      this.#info = info;
      this.#use(info);
      this.#problem(info.message ?? "");
    } catch (error) {
      this.#problem(sentence(error));
    }
    this.#draw();
    this.#tell();
  }

  // While events come they are newer than the answer; without them the answer is all there is.
  #use(info) {
    const { last } = info;
    const live = this.#stream && this.#last && info.step < this.#last.step;
    if (!live) this.#last = { ...this.#last, ...(last ?? {}) };
    else Object.assign(info, { step: this.#last.step, best: this.#last.best, best_step: this.#last.best_step });
  }

  async #history() {
    const { id } = this;
    if (!id) return;
    this.#asked = Date.now();
    const { rows } = await get(runRoute(id, `/history?after=0&points=${POINTS}`)).catch(() => ({ rows: [] }));
    if (this.id !== id) return;
    this.#curve.show(rows, this.#info.steps);
    this.#curve.best = this.#info.best_step;
    this.#evaluated = rows.findLast((row) => row[5] !== null)?.[5] ?? this.#info.last?.evaluation ?? null;
  }

  #follow() {
    const { run } = this.#info;
    this.#leave();
    this.#quarters.begin();
    if (!isBusy(this.#info)) return;
    const stream = new EventSource(address(runRoute(run, "/events")));
    this.#stream = stream;
    stream.onmessage = (message) => this.#stream === stream && this.#event(JSON.parse(message.data));
    // The run of another program on this folder has no events here: then it is asked after.
    stream.onerror = () => stream.readyState === EventSource.CLOSED && this.id === run && this.#poll();
  }

  #leave() {
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#timer);
  }

  #poll() {
    this.#leave();
    const { id } = this;
    this.#timer = setTimeout(async () => {
      await this.reload();
      if (this.id !== id) return;
      const after = this.#curve.last;
      const { rows } = await get(runRoute(id, `/history?after=${after}&points=${POINTS}`)).catch(() => ({ rows: [] }));
      if (this.id !== id) return;
      for (const row of rows) this.#curve.add(row, this.#info.steps, this.#info.best_step);
      if (isBusy(this.#info)) this.#poll();
    }, POLL);
  }

  #event(event) {
    const handlers = {
      TrainStep: () => this.#step(event),
      TrainFile: () => this.#reloadFiles(),
      Notice: () => this.#notice(event),
      Failed: () => this.#end("failed", event.message),
      Finished: () => this.#end(event.reason),
    };
    handlers[event.event]?.();
  }

  #step(step) {
    if (step.run && step.run !== this.id) return;
    this.#last = { ...this.#last, ...step };
    Object.assign(this.#info, { state: "running", step: step.step, steps: step.steps });
    if (step.best_step !== null) Object.assign(this.#info, { best: step.best, best_step: step.best_step });
    // An evaluation stays the newest until the next: only its own step is a point of its line.
    const own = step.evaluation !== null && step.evaluation !== this.#evaluated ? step.evaluation : null;
    this.#evaluated = step.evaluation;
    if (Date.now() - this.#asked > HISTORY_EVERY) this.#history();
    if (step.step > 0 && step.loss !== null) this.#curve.add([step.step, step.loss, step.smooth, step.rate, step.norm, own], step.steps, step.best_step);
    this.#drawHead();
    this.#tell();
    this.#tellFar(step);
  }

  #tellFar({ step, steps, seconds_left: left }) {
    const fraction = step / Math.max(1, steps);
    if (!this.#quarters.reached(fraction)) return;
    const percent = Math.round(100 * fraction);
    announcer.say(left ? t("Training: {percent} percent done, {time} left", { percent, time: roughly(left) }) : t("Training: {percent} percent done", { percent }), "training");
  }

  async #end(state, message = "") {
    this.#leave();
    Object.assign(this.#info, { state, message });
    this.#problem(message);
    this.#draw();
    await this.reload();
    await this.#history();
    if (this.#info && isBusy(this.#info)) return this.#follow(); // it was put back into the queue
    this.#tellEnd(state, message);
  }

  #tellEnd(state, message) {
    if (!this.#info) return;
    const { job: id, name } = this.#info;
    const seen = state === "failed" && this.#root.offsetParent !== null; // the alert is heard
    announcer.forget("training");
    endings.tell({ id, kind: "training", state, message, name, pictures: 0, silent: false, seen });
  }

  // --- buttons ---

  #wire() {
    const on = (name, work) => action(name, this.#root).addEventListener("click", work);
    on("pause-run", () => this.#ask("/pause", {}, "Pausing after this step"));
    on("stop-best", () => this.#stop());
    on("resume-run", () => this.#goOn({}));
    on("more-steps", () => this.#goOn({ steps: this.#info.steps + Math.max(1, Number(one("#more-steps", this.#root).value) || 1) }));
    on("try-run", () => this.#tryWord(this.#info, this.#newest));
    on("try-copy", () => this.#tryWord(this.#info, stem(this.#copy.name)));
    on("keep-copy", async () => {
      const { step } = this.#copy;
      if (await this.#ask("/keep", { step })) this.#notice({ text: t("What was learned up to step {step} is the result now.", { step: number(step) }), level: "info" });
    });
    this.#root.addEventListener("step-chosen", ({ detail }) => this.#chooseCopy(detail));
  }

  async #stop() {
    const { name, best_step: best } = this.#info;
    if (!(await this.#ask("/stop", { keep: best ? "best" : "last" }, "Stopping after this step"))) return;
    const { best_step: top, step } = this.#info;
    const text = top
      ? t("{name} is now what was learned at its best, step {step}.", { name, step: number(top) })
      : t("{name} is now what was learned at step {step}.", { name, step: number(step) });
    this.#notice({ text, level: "info" });
  }

  async #goOn(body) {
    if (!(await this.#ask("/resume", body, "Going on"))) return;
    await this.#history();
    this.#follow();
  }

  async #ask(what, body, words = "") {
    this.#problem("");
    this.#asking = words;
    if (words) this.#say(words);
    let refusal = "";
    try {
      await post(runRoute(this.id, what), body);
    } catch (error) {
      refusal = sentence(error);
    }
    this.#asking = refusal ? "" : this.#asking;
    await this.reload();
    if (refusal) this.#problem(refusal);
    return !refusal;
  }

  /** Move the run to the trash. Throws `Refused`. */
  static remove(run) {
    return call("DELETE", runRoute(run));
  }

  // --- what is shown ---

  #problem(words) {
    say(one("[data-run-problem-text]", this.#root), words);
  }

  #say(words) {
    one("[data-run-state]", this.#root).textContent = words;
  }

  #notice({ text, level, step }) {
    const list = one("[data-run-notices]", this.#root);
    const words = step ? t("Step {step}: {sentence}", { step: number(step), sentence: text }) : text;
    if ([...list.children].some((item) => item.dataset.text === text)) return;
    const item = make("li", { textContent: words, className: level ?? "info" });
    item.dataset.text = text; // what is shown may be in another language
    list.append(item);
  }

  #draw() {
    const info = this.#info;
    one("[data-run-view]", this.#root).hidden = !info;
    if (!info) return;
    this.#drawHead();
    const files = info.files.map((file) => ({ ...file, url: new URL(file.url, location.href).href }));
    this.#strip.show(info.run, files);
    this.#curve.best = info.best_step;
    (info.notices ?? []).forEach((notice) => this.#notice(notice));
    const choices = this.#copies.map(({ step }) => [step, number(step)]);
    const select = one("[data-copy-step]", this.#root);
    const newest = choices.at(-1)?.[0];
    const follows = !select.value || select.selectedIndex === select.options.length - 1;
    fillChoices(select, choices, follows ? newest : select.value);
    one("[data-copies]", this.#root).hidden = !choices.length;
  }

  get #copies() {
    return (this.#info?.files ?? []).filter(({ kind }) => kind === "copy").sort((a, b) => a.step - b.step);
  }

  get #copy() {
    const step = Number(one("[data-copy-step]", this.#root).value);
    return this.#copies.find((copy) => copy.step === step);
  }

  // The picture that is looked at was drawn with the copy of its step, or one a little before.
  #chooseCopy(step) {
    const before = this.#copies.filter((copy) => copy.step <= step).at(-1);
    if (before) one("[data-copy-step]", this.#root).value = String(before.step);
  }

  /** The name of what can be used now: the result, else the newest copy; null: nothing yet. */
  get #newest() {
    if (this.#info.state === "done" || this.#info.state === "interrupted") return this.#info.name;
    const copy = this.#copies.at(-1);
    return copy ? stem(copy.name) : null;
  }

  #drawHead() {
    const { name, method, state, step, steps, best, best_step: bestStep } = this.#info;
    const last = this.#last ?? {};
    one("[data-run-name]", this.#root).textContent = name;
    one("[data-run-state]", this.#root).dataset.state = state;
    if (state === "running") pageTitle.show(this, step / Math.max(1, steps), last.seconds_left ?? null);
    else pageTitle.clear(this);
    if (state !== this.#state) this.#asking = ""; // what was asked for has come
    this.#state = state;
    this.#say(this.#asking || doing(state, last, method));
    const percent = Math.min(100, Math.round((100 * step) / Math.max(1, steps)));
    const bar = one("[data-run-bar]", this.#root);
    bar.setAttribute("aria-valuenow", percent);
    bar.style.setProperty("--done", `${(100 * step) / Math.max(1, steps)}%`);
    this.#number("step", number(step), t("of {total}", { total: number(steps) }));
    const left = state === "running" && last.seconds_left;
    this.#number("left", left ? roughly(left) : "–");
    this.#number("evaluation", lossOf(last.evaluation), bestStep ? t("best {best} at {step}", { best: lossOf(best), step: number(bestStep) }) : "");
    const [speed, unit] = speedOf(last.seconds_per_step);
    this.#number("speed", speed, unit);
    const rows = [["Loss", lossOf(last.loss)], ["Smoothed", lossOf(last.smooth)], ["Rate", shown(last.rate)], ["Norm", last.norm ? shown(last.norm) : "–"], ["Memory", memory(last.memory)]];
    const parts = rows.filter(([, text]) => text !== "–").map(([term, text]) => make("div", {}, make("dt", { textContent: term }), make("dd", { textContent: text })));
    one("[data-small-numbers]", this.#root).replaceChildren(...parts);
    this.#drawButtons();
  }

  #drawButtons() {
    const { state, best_step: best } = this.#info;
    const shows = (name, on) => (action(name, this.#root).hidden = !on);
    shows("pause-run", isBusy(this.#info));
    shows("stop-best", isBusy(this.#info) && state !== "waiting");
    action("stop-best", this.#root).textContent = best ? "Stop and keep best" : "Stop and keep";
    shows("resume-run", ["paused", "interrupted", "failed"].includes(state));
    one("[data-more-steps]", this.#root).hidden = state !== "done";
    shows("try-run", this.#newest !== null);
  }

  #number(name, text, note = "") {
    one(`[data-number="${name}"]`, this.#root).textContent = text;
    one(`[data-number-note="${name}"]`, this.#root).textContent = note;
  }
}

function doing(state, last, method) {
  if (state !== "running") return WORDS[state] ?? state;
  const stages = { preparing: "Reading the pictures", evaluating: "Evaluating" };
  return stages[last.state] ?? (method === "LoRA" ? "Training a LoRA" : "Training");
}

const shown = (value) => (value === null || value === undefined ? "–" : short(value));
const lossOf = (value) => (value >= 0.001 && value < 100 ? value.toPrecision(3) : shown(value));
const memory = (megabytes) => (megabytes ? (megabytes >= 1000 ? t("{n} GB", { n: (megabytes / 1024).toFixed(1) }) : t("{n} MB", { n: Math.round(megabytes) })) : "–");

function speedOf(seconds) {
  if (!seconds) return ["–", ""];
  return seconds < 1 ? [(1 / seconds).toFixed(1), t("steps/s")] : [seconds.toFixed(1), t("s/step")];
}

/** "name-500" of "embeddings/name-500.safetensors". */
const stem = (name) => name.split("/").pop().replace(/\.\w+$/, "");
