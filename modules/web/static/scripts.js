// Scripts: one request that stands for many. The accordion's fields, and how many pictures it comes to.

import { post } from "./api.js";
import { action, all, later, make, one, say } from "./dom.js";
import { sourceOf } from "./translate.js";
import { number, t } from "./words.js";

const XYZ = "x-y-z-plot";

export class Scripts {
  #form;
  #root;
  #latest = 0;

  constructor(form, root) {
    this.#form = form;
    this.#root = one('[data-section="script"]', root);
    const counted = later(() => this.#count(), 400);
    form.onChange((names) => {
      if (names.some((name) => name.startsWith("script") || name.includes("."))) this.#show();
      counted();
    });
    if (one(`[data-script="${XYZ}"]`, this.#root)) this.#wireAxes();
    this.#wireFiles();
    this.#show();
  }

  get #chosen() {
    return this.#form.get("script");
  }

  get #element() {
    return this.#chosen ? one(`[data-script="${this.#chosen}"]`, this.#root) : null;
  }

  /** What is asked for: the request itself, or a script over it. */
  order(request) {
    if (!this.#element) return request;
    const option = [...this.#form.field("script").input.options].find(({ value }) => value === this.#chosen);
    return { kind: "script", script: option.dataset.scriptName, base: request, options: this.#options() };
  }

  #options() {
    const names = this.#form.names.filter((name) => name.startsWith(`${this.#chosen}.`));
    return Object.fromEntries(names.map((name) => [name.slice(this.#chosen.length + 1), this.#form.get(name)]));
  }

  #show() {
    for (const element of all("[data-script]", this.#root)) element.hidden = element.dataset.script !== this.#chosen;
    const { input } = this.#form.field("script");
    say(one("[data-script-words]", this.#root), this.#element ? sourceOf(input.selectedOptions[0]) : "");
    if (this.#chosen === XYZ) this.#axes();
  }

  // How many pictures, told before Generate; a mistake in the values is told here too.
  async #count() {
    const element = this.#element;
    if (!element || !this.#root.open) return;
    const mine = ++this.#latest;
    const words = await post("scripts/layout", this.order(this.#form.values())).then(sizeWords, (refused) => refused.message);
    if (mine === this.#latest) one("[data-cells]", element).textContent = words;
  }

  #wireAxes() {
    for (const axis of ["x", "y", "z"]) {
      action(`fill-${axis}`, this.#root).addEventListener("click", () => this.#fillAxis(axis));
    }
    for (const pair of ["xy", "yz"]) action(`swap-${pair}`, this.#root).addEventListener("click", () => this.#swap(...pair));
    this.#root.addEventListener("toggle", () => this.#root.open && this.#count());
  }

  #field(axis, name) {
    return this.#form.field(`${XYZ}.${axis}_${name}`);
  }

  // An axis that varies nothing needs no values; one over a list can have all of it.
  #axes() {
    for (const axis of ["x", "y", "z"]) {
      const { input } = this.#field(axis, "type");
      const nothing = input.value === "Nothing";
      this.#field(axis, "values").element.classList.toggle("off", nothing);
      this.#field(axis, "values").input.disabled = nothing;
      action(`fill-${axis}`, this.#root).hidden = !choicesOf(input.value, this.#form).length;
    }
  }

  #fillAxis(axis) {
    const choices = choicesOf(this.#field(axis, "type").input.value, this.#form);
    this.#form.fill({ [`${XYZ}.${axis}_values`]: choices.map(quoted).join(", ") });
  }

  #swap(a, b) {
    const values = {};
    for (const name of ["type", "values"]) {
      values[`${XYZ}.${a}_${name}`] = this.#field(b, name).value;
      values[`${XYZ}.${b}_${name}`] = this.#field(a, name).value;
    }
    this.#form.fill(values);
  }

  // A text that may come from a file: a file dropped on it or chosen is read into it.
  #wireFiles() {
    for (const box of all(".script-options textarea", this.#root)) {
      const label = make("label", { className: "tool wide chooser" }, make("span", { textContent: "From a file" }));
      const file = make("input", { type: "file", accept: ".txt,text/plain" });
      file.setAttribute("aria-label", "Read the lines from a file");
      label.append(file);
      box.parentElement.after(label);
      const read = async (chosen) => {
        if (!chosen) return;
        box.value = await chosen.text();
        box.dispatchEvent(new Event("input", { bubbles: true }));
      };
      file.addEventListener("change", () => read(file.files[0]));
      box.addEventListener("drop", (event) => {
        if (!event.dataTransfer.files.length) return;
        event.preventDefault();
        event.stopPropagation();
        read(event.dataTransfer.files[0]);
      });
    }
  }
}

/** The request that a job varies, or is. */
export const baseOf = (request) => (request.kind === "script" ? request.base : request);

const quoted = (value) => (/[,"\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

const LISTS = {
  "Checkpoint name": "checkpoint",
  "Refiner checkpoint": "checkpoint",
  VAE: "vae",
  Sampler: "sampler",
  "Hires sampler": "sampler",
  "Schedule type": "scheduler",
  "Hires upscaler": "hires.upscaler",
  "RNG source": "rng",
};

/** All values that an axis can have, where it chooses from a list that is on the page. */
function choicesOf(label, form) {
  const name = LISTS[label];
  if (!name || !form.has(name)) return [];
  return [...form.field(name).input.options].filter((option) => option.value && !option.disabled).map((option) => option.value);
}

function sizeWords({ columns, rows, grids, sizes }) {
  const images = sizes.reduce((sum, size) => sum + size, 0);
  const sides = [columns, rows, grids].map(({ length }) => length).filter((count) => count > 1);
  const shape = sides.length > 1 ? `${sides.join(" × ")}: ` : "";
  return `${shape}${t("{n} pictures.", { n: number(images) })}`;
}
