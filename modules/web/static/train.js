// The Train tab: a walk of four steps, the state of each in its title.

import { post, Refused } from "./api.js";
import { action, all, one, openTab, say } from "./dom.js";
import { Form } from "./fields.js";
import { remember } from "./memory.js";
import { names } from "./names.js";
import { Captions } from "./train-captions.js";
import { Options } from "./train-options.js";
import { Pictures } from "./train-pictures.js";
import { isBusy, Run, stateWords } from "./train-run.js";
import { Runs } from "./train-runs.js";
import { DataSet } from "./train-set.js";
import { number, t } from "./words.js";

const STEPS = ["pictures", "captions", "options", "run"];
const ONWARD = { pictures: "Next: Captions", captions: "Next: Options", options: "Start training" };
const KEY = "webui-train-step";
const EXAMPLE = "uncle_aharon"; // what the new word of the example is called
const SAME_SPEED = 0.1;

export class TrainTab {
  #root;
  #step = "pictures";
  #speed = 0; // seconds of a step, as the options know it

  /** `tryPrompt(change)` shows txt2img with `change(prompt)` as its prompt. */
  constructor(root, models, tryPrompt) {
    this.#root = root;
    this.form = new Form(root, models.form);
    this.set = new DataSet(() => ({ width: this.form.get("training_width"), height: this.form.get("training_height") }));
    this.pictures = new Pictures(root, this.set, this.form);
    this.captions = new Captions(root, this.set);
    this.options = new Options(root, this.set, this.form, models);
    this.run = new Run(root, (info, stem) => this.#try(info, stem, tryPrompt));
    this.runs = new Runs(root, this.run);
    this.#wireWalk();
    action("example-set", root).addEventListener("click", ({ currentTarget }) => this.#openExample(currentTarget));
    for (const part of [this.set, this.options, this.run]) part.onChange(() => this.#titles());
    this.run.onChange(() => this.#learnSpeed());
  }

  /** Fill in what was typed last, and find the run that goes on. */
  async open() {
    this.#show(sessionStorage.getItem(KEY) ?? "pictures");
    await Promise.all([remember(this.form, "train"), this.set.list(), this.options.open()]);
    await this.set.open(this.form.get("data_root"));
    await this.runs.load();
    const { first } = this.runs;
    if (first) await this.run.open(first.run);
    if (first && isBusy(first) && !sessionStorage.getItem(KEY)) this.#show("run");
    this.#titles();
  }

  // --- the walk ---

  #wireWalk() {
    for (const button of all("[data-walk]", this.#root)) {
      button.addEventListener("click", () => this.#go(button.dataset.walk));
    }
    action("step-on", this.#root).addEventListener("click", () => this.#onward());
    action("step-back", this.#root).addEventListener("click", () => this.#go(STEPS[STEPS.indexOf(this.#step) - 1]));
    this.form.onChange(() => say(one("[data-train-problem]", this.#root), ""));
  }

  #go(step) {
    this.#show(step);
    sessionStorage.setItem(KEY, step);
    one(`[data-step="${step}"]`, this.#root).focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  #show(step) {
    this.#step = STEPS.includes(step) ? step : STEPS[0];
    for (const section of all("[data-step]", this.#root)) section.hidden = section.dataset.step !== this.#step;
    for (const button of all("[data-walk]", this.#root)) {
      if (button.dataset.walk === this.#step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    }
    const onward = action("step-on", this.#root);
    onward.hidden = this.#step === "run";
    one("span", onward).textContent = ONWARD[this.#step] ?? "";
    action("step-back", this.#root).hidden = this.#step === STEPS[0];
    one("[data-walk-on]", this.#root).dataset.at = this.#step;
    say(one("[data-train-problem]", this.#root), "");
    if (this.#step === "options") this.options.check();
  }

  async #onward() {
    if (this.#step !== "options") return this.#go(STEPS[STEPS.indexOf(this.#step) + 1]);
    const button = action("step-on", this.#root);
    button.disabled = true;
    try {
      await this.#start();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.form.blame(error.field);
      say(one("[data-train-problem]", this.#root), error.message);
    } finally {
      button.disabled = false;
    }
  }

  async #start() {
    this.form.blame(null);
    if (!this.form.get("data_root")) throw new Refused("Choose the pictures to learn from first: that is step 1.");
    if (!this.form.get("name").trim()) throw new Refused("Give the new word a name first.", "name");
    await this.set.flush();
    const { run } = await post("training", this.options.order());
    this.run.close();
    this.#go("run");
    await this.run.open(run);
  }

  // The drawings that come with the program, and the preset that takes the least time.
  async #openExample(button) {
    button.disabled = true;
    try {
      const { name } = await post("examples/dataset");
      await this.set.list();
      this.options.use("Quick look");
      this.form.fill({ data_root: name, name: this.form.get("name").trim() || EXAMPLE });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(one("[data-train-problem]", this.#root), error.message);
    } finally {
      button.disabled = false;
    }
  }

  /** The state of each step, in its title. */
  #titles() {
    const { used, findings, captioned, problem } = this.set;
    const warnings = findings.length ? ` · ${t("{n} warnings", { n: findings.length })}` : "";
    const states = {
      pictures: problem && !used.length ? t("not found") : used.length ? `${number(used.length)}${warnings}` : t("none yet"),
      captions: used.length ? t("{index} of {total}", { index: number(captioned), total: number(used.length) }) : "",
      options: this.options.words,
      run: this.#runWords(),
    };
    for (const button of all("[data-walk]", this.#root)) {
      const state = one("[data-walk-state]", button);
      const words = states[button.dataset.walk];
      if (state.dataset.said !== words) state.textContent = state.dataset.said = words;
    }
  }

  #runWords() {
    const { info } = this.run;
    if (!info) return t("not started");
    return `${info.name} · ${info.state === "running" ? t("{index} of {total}", { index: number(info.step), total: number(info.steps) }) : stateWords(info)}`;
  }

  // The newest run says how fast this machine is.
  #learnSpeed() {
    const { info, last } = this.run;
    const seconds = last?.seconds_per_step;
    if (!info || !seconds || Math.abs(seconds - this.#speed) < seconds * SAME_SPEED) return;
    this.#speed = seconds;
    const { batch_size = 1, gradient_step = 1 } = info.request ?? {};
    this.options.learnSpeed(seconds, batch_size * gradient_step);
  }

  // --- trying it ---

  async #try({ name, method, request }, stem, tryPrompt) {
    names.loadNetworks(true);
    const word = method === "LoRA" ? `<lora:${stem}:1>` : stem;
    const begin = (request?.preview?.prompt ?? "[name]").replaceAll("[name]", word);
    openTab("tab-txt2img");
    await tryPrompt((prompt) => withWord(prompt, name, method, word) ?? (prompt.trim() ? `${prompt.trimEnd().replace(/,$/, "")}, ${word}` : begin));
  }
}

/** The prompt with another copy of the word in the place of the one it has; null where it has none. */
function withWord(prompt, name, method, word) {
  const plain = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const there = method === "LoRA" ? new RegExp(`<lora:${plain}(-\\d+)?(:[^<>]*)?>`) : new RegExp(`(?<![\\w-])${plain}(-\\d+)?(?![\\w-])`);
  return there.test(prompt) ? prompt.replace(there, () => word) : null;
}
