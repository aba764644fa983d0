// Presets: named values of a form, and what the form begins with for this person. The menu beside Styles.

import { action, all, make, one, say } from "./dom.js";
import { mine } from "./mine.js";
import { t } from "./words.js";

const GROUPS = {
  sampler: ["sampler", "scheduler", "steps", "cfg_scale"],
  size: ["width", "height"],
  prompt: ["prompt", "styles"],
  negative: ["negative_prompt"],
};
// A seed is of one picture.
const NEVER = ["seed", "subseed", "checkpoint"];
const PROMPTS = [...GROUPS.prompt, ...GROUPS.negative];
const IN_TOP_BAR = ["vae", "clip_skip"];

export class Presets {
  #name;
  #form;
  #models;
  #menu;
  #opener;

  constructor(name, form, models, root) {
    this.#name = name;
    this.#form = form;
    this.#models = models;
    this.#menu = one("[data-presets-menu]", root);
    this.#opener = action("presets", root);
    this.#opener.addEventListener("click", () => this.#menu.togglePopover());
    this.#menu.addEventListener("beforetoggle", (event) => event.newState === "open" && this.#place());
    this.#menu.addEventListener("toggle", (event) => event.newState === "open" && this.#opened());
    mine.onChange(() => this.#draw());
    const on = (what, work) => action(what, this.#menu).addEventListener("click", work);
    on("save-preset", () => this.#save());
    on("make-default", () => this.#makeDefault());
    on("program-default", () => this.#programDefault());
    this.#nameBox.addEventListener("input", () => this.#saveWords());
    this.#nameBox.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#save();
    });
    this.#draw();
  }

  get #nameBox() {
    return one("[data-preset-name]", this.#menu);
  }

  get #own() {
    return mine.presets.filter(({ form }) => form === this.#name);
  }

  #place() {
    const { left, bottom, top } = this.#opener.getBoundingClientRect();
    const width = Math.min(400, innerWidth - 32);
    const below = innerHeight - bottom - 16;
    const height = below > 320 ? below : Math.max(innerHeight - 32, 0);
    this.#menu.style.width = `${width}px`;
    this.#menu.style.maxHeight = `${height}px`;
    this.#menu.style.left = `${Math.max(16, Math.min(left, innerWidth - width - 16))}px`;
    this.#menu.style.top = below > 320 ? `${bottom + 4}px` : `${Math.min(top, 16)}px`;
  }

  #opened() {
    this.#note("");
    this.#draw();
    (one("[data-preset-list] button", this.#menu) ?? this.#nameBox).focus();
  }

  #draw() {
    one("[data-preset-list]", this.#menu).replaceChildren(...this.#own.map((preset) => this.#row(preset)));
    say(one("[data-preset-empty]", this.#menu), this.#own.length ? "" : "No presets yet: choose below what one is to keep, name it and save it.");
    action("program-default", this.#menu).disabled = !mine.forms[this.#name];
    this.#saveWords();
  }

  #row(preset) {
    const words = Object.entries(preset.values)
      .map(([name, value]) => shown(this.#form.field(name)?.label ?? name, value))
      .filter(Boolean)
      .join(" · ");
    const use = make("button", { type: "button", className: "preset-use", title: words }, make("b", { translate: false, textContent: preset.name }), make("span", { textContent: words }));
    use.addEventListener("click", () => this.#use(preset));
    const remove = make("button", { type: "button", className: "quiet", textContent: "Delete" });
    remove.setAttribute("aria-label", t("Delete the preset {name}", preset));
    remove.addEventListener("click", () => this.#delete(preset));
    return make("li", {}, use, remove);
  }

  #use(preset) {
    const known = Object.entries(preset.values).filter(([name]) => this.#form.has(name));
    this.#form.fill(Object.fromEntries(known));
    this.#menu.hidePopover();
    this.#opener.focus();
  }

  #saveWords() {
    const known = this.#own.some(({ name }) => name === this.#nameBox.value.trim());
    action("save-preset", this.#menu).textContent = known ? "Replace it" : "Save";
  }

  // The chosen fields as they are now; of all others those that are changed.
  #values() {
    const groups = all("[data-preset-part]:checked", this.#menu).map(({ value }) => value);
    const values = this.#form.choices(groups.flatMap((group) => GROUPS[group] ?? []));
    if (!groups.includes("rest")) return values;
    const named = [...Object.values(GROUPS).flat(), ...NEVER];
    const rest = Object.entries(this.#form.choices()).filter(([name]) => !named.includes(name));
    return { ...values, ...Object.fromEntries(rest) };
  }

  async #save() {
    const name = this.#nameBox.value.trim();
    if (!name) return this.#nameBox.focus();
    const saved = await this.#ask(() => mine.savePreset({ name, form: this.#name, values: this.#values() }));
    if (!saved) return;
    this.#nameBox.value = "";
    this.#saveWords();
    this.#note(t("“{name}” is saved.", { name }));
  }

  async #delete(preset) {
    if (!(await this.#ask(() => mine.deletePreset(preset)))) return;
    const undo = make("button", { type: "button", className: "quiet", textContent: "Undo" });
    undo.addEventListener("click", async () => {
      if (await this.#ask(() => mine.savePreset(preset))) this.#note(t("“{name}” is back.", preset));
    });
    this.#note(`${t("“{name}” is deleted.", preset)} `);
    one("[data-preset-note]", this.#menu).append(undo);
    undo.focus();
  }

  // All but the prompts, the seed and the checkpoint; VAE and clip skip are in the top bar.
  async #makeDefault() {
    const left = [...NEVER, ...PROMPTS];
    const values = Object.fromEntries(Object.entries(this.#form.choices()).filter(([name]) => !left.includes(name)));
    const done = await this.#ask(async () => {
      await mine.setDefault("models", this.#models.choices(IN_TOP_BAR.filter((name) => this.#models.field(name).changed || "program" in this.#models.field(name))));
      await mine.setDefault(this.#name, values);
    });
    if (done) this.#note("The form begins with these values now, and Reset goes back to them.");
  }

  async #programDefault() {
    const done = await this.#ask(async () => {
      await mine.setDefault("models", {});
      await mine.setDefault(this.#name, {});
    });
    if (done) this.#note("The form begins with the program's own values again.");
  }

  async #ask(work) {
    try {
      await work();
      return true;
    } catch (refused) {
      this.#note(refused.message);
      return false;
    }
  }

  #note(words) {
    say(one("[data-preset-note]", this.#menu), words);
  }
}

function shown(label, value) {
  if (value === "" || value === null || (Array.isArray(value) && !value.length)) return "";
  const text = value === true ? "on" : value === false ? "off" : String(value);
  return t("{label} {value}", { label, value: text.length > 40 ? `${text.slice(0, 40)}…` : text });
}
