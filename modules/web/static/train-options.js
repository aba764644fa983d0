// Step 3 of the Train tab: presets, the fields that matter, and what the server thinks of it before it begins.

import { get, post } from "./api.js";
import { action, all, duration, later, make, one } from "./dom.js";
import { showChanges } from "./fields.js";
import { fillLists, fillListsIn } from "./lists.js";
import { folderOf } from "./train-set.js";
import { number, t } from "./words.js";

const ASK_AFTER = 500;
const SPEED = "webui-train-speed";
const OF_LORA = ["lora_rank", "lora_alpha", "lora_layers", "lora_text_encoder"];
const OF_WORDS = ["init_text", "num_vectors_per_token", "norm_control", "ema", "embedding_format", "save_image_with_stored_embedding"];

export class Options {
  #root;
  #set;
  #form;
  #presets = {}; // name -> values
  #checked = null; // what the server said of the values
  #problem = "";
  #speed = Number(localStorage.getItem(SPEED)) || null; // seconds of a step of batch 1, measured here
  #listeners = [];
  #ask = later(() => this.check(), ASK_AFTER);

  constructor(root, set, form, models) {
    this.#root = one('[data-step="options"]', root);
    this.#set = set;
    this.#form = form;
    fillListsIn(root);
    showChanges(form, this.#root);
    this.#followModel(models);
    action("reset-training", this.#root).addEventListener("click", () => this.#reset());
    for (const input of all('[name="train-preset"]', this.#root)) input.addEventListener("change", () => this.use(input.value));
    const { rates } = one("[data-rates]", this.#root).dataset;
    form.onChange((names) => names.includes("method") && form.changeDefault("learn_rate", JSON.parse(rates)[form.get("method")]));
    form.onChange(() => this.#changed());
    set.onChange((typed) => typed || this.#changed());
    this.#changed();
  }

  async open() {
    const [presets, templates] = await Promise.all([
      get("training/presets").catch(() => ({})),
      get("training/templates").catch(() => []),
    ]);
    this.#presets = presets;
    if (templates.length) fillLists({ templates: () => templates.map(({ name }) => new Option(name.replace(/\.txt$/, ""), name)) });
    this.#changed();
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** What a training is asked for: the models of the top bar belong to its previews. */
  order() {
    const { checkpoint, vae, clip_skip, ...values } = this.#form.values();
    return { kind: "training", ...values, preview: { ...values.preview, checkpoint, vae, clip_skip } };
  }

  /** Fill in a preset; what it does not say and others do is at its default. */
  use(name) {
    const others = Object.values(this.#presets).flatMap(Object.keys);
    const usual = Object.fromEntries(others.filter((one) => this.#form.has(one)).map((one) => [one, this.#form.field(one).default]));
    this.#form.fill({ ...usual, ...this.#presets[name] });
  }

  #reset() {
    const own = all("[data-knob]", this.#root).map((element) => element.dataset.knob);
    this.#form.reset(own);
  }

  /** The preset that the values are of, or null. */
  get preset() {
    const holds = ([, values]) => Object.entries(values).every(([name, value]) => !this.#form.has(name) || this.#form.get(name) === value);
    const fitting = Object.entries(this.#presets).filter(holds);
    // Of two that hold, the one that says more.
    return fitting.sort(([, a], [, b]) => Object.keys(b).length - Object.keys(a).length)[0]?.[0] ?? null;
  }

  /** One step took `seconds` with `batch` pictures: from then on times are estimated. */
  learnSpeed(seconds, batch) {
    this.#speed = seconds / batch;
    localStorage.setItem(SPEED, this.#speed);
    this.#changed(false);
  }

  secondsOf({ steps, batch_size = 1, gradient_step = 1 }) {
    const known = this.#checked?.seconds_per_step;
    if (known) return known * steps;
    return this.#speed && this.#speed * steps * batch_size * gradient_step;
  }

  /** How it would go, in a few words. */
  get words() {
    const seconds = this.secondsOf(this.#form.values());
    const warned = (this.#checked?.warnings ?? []).length + (this.#problem ? 1 : 0);
    const parts = [this.preset ?? t("own options"), seconds && t("about {time}", { time: roughly(seconds) }), warned && t("{n} warnings", { n: warned })];
    return parts.filter(Boolean).join(" · ");
  }

  // A checkpoint is trained, and its previews drawn, at its own size.
  #followModel(models) {
    const follow = () => {
      const size = models.nativeSize;
      if (!size) return;
      for (const part of ["training_", "preview."]) {
        this.#form.changeDefault(`${part}width`, size[0]);
        this.#form.changeDefault(`${part}height`, size[1]);
      }
    };
    this.#form.onChange((names) => names.includes("checkpoint") && follow());
    follow();
  }

  #changed(ask = true) {
    const lora = this.#form.get("method") === "LoRA";
    for (const name of OF_LORA) this.#form.field(name).element.hidden = !lora;
    for (const name of OF_WORDS) this.#form.field(name).element.hidden = lora;
    one('[data-section="train-lora"]', this.#root).hidden = !lora;
    const preset = this.preset;
    for (const input of all('[name="train-preset"]', this.#root)) {
      input.checked = input.value === preset;
      const values = { ...this.#form.values(), ...this.#presets[input.value] };
      const seconds = this.secondsOf(values);
      const words = [t("{n} steps", { n: number(values.steps) }), seconds && t("about {time}", { time: roughly(seconds) })];
      one("[data-preset-words]", input.parentElement).textContent = words.filter(Boolean).join(" · ");
    }
    this.#drawPlan();
    this.#tell();
    if (ask) this.#ask();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }

  /** What the server says of the values, where they are in sight. */
  async check() {
    if (!this.#root.offsetParent || !this.#set.info) return;
    if (!this.#form.get("name").trim()) return this.#unnamed(); // not to have named it yet is no fault
    try {
      this.#checked = await post("training/check", this.order());
      this.#problem = "";
    } catch (refused) {
      this.#problem = refused.message;
      this.#checked = null;
    }
    this.#drawPlan();
    this.#tell();
  }

  #unnamed() {
    [this.#checked, this.#problem] = [null, ""];
    this.#drawPlan();
  }

  #drawPlan() {
    const { steps, batch_size, gradient_step, name, method } = this.#form.values();
    const called = name.trim();
    one("[data-plan-title]", this.#root).textContent = called || "Not yet named";
    const each = this.#checked?.steps_per_epoch;
    const rows = [
      ["Learns", method === "LoRA" ? t("a LoRA") : t("a new word")],
      ["From", this.#set.info ? t("{n} pictures of {folder}", { n: number(this.#set.used.length), folder: folderOf(this.#set.info.path) || this.#set.name }) : "no pictures yet"],
      ["Steps", number(steps)],
      ["Sees each picture", each ? times(steps / each) : times((steps * batch_size * gradient_step) / (this.#set.used.length || 1))],
      ["Takes", this.#takes()],
    ];
    const parts = rows.flatMap(([term, text]) => [make("dt", { textContent: term }), make("dd", { textContent: text })]);
    one("[data-plan]", this.#root).replaceChildren(...parts);
    const warnings = [...(this.#problem ? [[this.#problem, "wrong"]] : []), ...(this.#checked?.warnings ?? []).map((words) => [words, "warning"])];
    const list = one("[data-warnings]", this.#root);
    const items = warnings.map(([textContent, className]) => make("li", { textContent, className }));
    const said = warnings.join();
    if (list.dataset.said !== said) list.replaceChildren(...items);
    list.dataset.said = said;
  }

  #takes() {
    const seconds = this.secondsOf(this.#form.values());
    return seconds ? t("about {time}", { time: roughly(seconds) }) : "known after its first steps";
  }
}

const times = (share) => (share >= 1.5 ? t("{n} times", { n: number(share) }) : "once or less");

/** Long times without seconds. */
export function roughly(seconds) {
  return seconds < 120 ? duration(seconds) : seconds < 3600 ? t("{n} min", { n: Math.round(seconds / 60) }) : duration(Math.round(seconds / 60) * 60);
}
