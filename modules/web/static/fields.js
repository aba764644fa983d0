// The form: reads and writes the widgets that form.py made from the request's parameters.

import { all, one, say } from "./dom.js";

const WHOLE = /^\s*[-+]?\d+\s*$/;
const SIZE = /^\s*(\d{2,5})\s*[x×*,]\s*(\d{2,5})\s*$/i;

class Field {
  constructor(element) {
    this.element = element;
    this.name = element.dataset.knob;
    this.kind = element.dataset.kind;
    this.label = element.dataset.label;
    this.optional = "optional" in element.dataset;
    this.default = JSON.parse(element.dataset.default);
    this.input = one("select, textarea, input:not([type=range])", element);
    this.range = one("input[type=range]", element);
  }

  get value() {
    if (this.kind === "bool") return this.input.checked;
    const text = this.input.value;
    if (this.kind === "str") return text;
    if (text.trim() === "") return this.optional ? null : this.default;
    return this.kind === "int" ? whole(text) : fraction(text);
  }

  set value(value) {
    if (this.kind === "bool") this.input.checked = Boolean(value);
    else if (this.input.tagName === "SELECT") this.choose(String(value));
    else this.input.value = value ?? "";
    this.moveSlider();
  }

  // A choice that is not in the list (a file that has gone, a list not yet here) is kept, never lost.
  choose(value) {
    if (![...this.input.options].some((option) => option.value === value)) {
      this.input.add(new Option(value, value));
    }
    this.input.value = value;
  }

  moveSlider() {
    if (!this.range) return;
    this.range.value = Number(this.value ?? this.range.min);
    const { min, max, value } = this.range;
    this.range.style.setProperty("--filled", `${(100 * (value - min)) / (max - min || 1)}%`);
  }

  get changed() {
    return this.value !== this.default;
  }

  /** The value as a title line shows it. */
  get shown() {
    return this.kind === "bool" ? (this.value ? "on" : "off") : String(this.value ?? "auto");
  }

  blame(sentence) {
    this.input.toggleAttribute("aria-invalid", Boolean(sentence));
    this.element.classList.toggle("wrong", Boolean(sentence));
  }
}

function whole(text) {
  if (!WHOLE.test(text)) return text.trim();
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text.trim();
}

function fraction(text) {
  const number = Number(text.replace(",", "."));
  return Number.isFinite(number) ? number : text.trim();
}

/** All fields of a tab, wherever on the page they are (the model's are in the top bar). */
export class Form {
  #fields = new Map();
  #listeners = [];

  constructor(...roots) {
    for (const root of roots) {
      for (const element of all("[data-knob]", root)) this.#adopt(new Field(element));
      root.addEventListener("submit", (event) => event.preventDefault());
    }
  }

  #adopt(field) {
    this.#fields.set(field.name, field);
    field.value = field.default;
    field.input.addEventListener("input", () => this.#edited(field));
    field.input.addEventListener("change", () => this.#tidy(field));
    field.range?.addEventListener("input", () => {
      field.input.value = field.range.value;
      this.#edited(field);
    });
    field.range?.addEventListener("dblclick", () => this.reset([field.name]));
    one("label", field.element).addEventListener("dblclick", (event) => {
      event.preventDefault();
      this.reset([field.name]);
    });
    if (field.name === "width" || field.name === "height") this.#acceptSizes(field);
  }

  // A pasted "768x512" fills both.
  #acceptSizes(field) {
    field.input.addEventListener("paste", (event) => {
      const match = SIZE.exec(event.clipboardData.getData("text"));
      if (!match) return;
      event.preventDefault();
      this.fill({ width: Number(match[1]), height: Number(match[2]) });
    });
  }

  #edited(field) {
    field.blame("");
    field.moveSlider();
    this.#tell([field.name]);
  }

  // An emptied number is its default again, and says so.
  #tidy(field) {
    if (field.kind !== "str" && field.kind !== "bool") field.value = field.value;
    this.#edited(field);
  }

  #tell(names, chosen = true) {
    for (const listener of this.#listeners) listener(names, chosen);
  }

  /** Call `listener(names, chosen)` after any change; `chosen` is false where nobody asked for it. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  get names() {
    return [...this.#fields.keys()];
  }

  field(name) {
    return this.#fields.get(name);
  }

  get(name) {
    return this.#fields.get(name).value;
  }

  /** Set many fields; names that the form does not have are left out. `chosen`: somebody asked for these values. */
  fill(values, chosen = true) {
    const known = Object.keys(values).filter((name) => this.#fields.has(name));
    for (const name of known) this.#fields.get(name).value = values[name];
    this.blame(null);
    this.#tell(known, chosen);
  }

  reset(names) {
    this.fill(Object.fromEntries(names.map((name) => [name, this.#fields.get(name).default])));
  }

  /** Another default (the checkpoint's own size); a field still at its old default follows. */
  changeDefault(name, value) {
    const field = this.#fields.get(name);
    const follows = !field.changed;
    field.default = value;
    if (follows) this.fill({ [name]: value }, false);
  }

  values() {
    return Object.fromEntries([...this.#fields].map(([name, field]) => [name, field.value]));
  }

  /** Only what is not at its default: what is remembered. */
  changes() {
    return Object.fromEntries([...this.#fields].filter(([, f]) => f.changed).map(([name, f]) => [name, f.value]));
  }

  /** Mark the field an error is about, open its accordion and bring it into sight. */
  blame(name, sentence = "x") {
    for (const field of this.#fields.values()) field.blame(field.name === name ? sentence : "");
    const field = this.#fields.get(name);
    if (!field) return;
    field.element.closest("details")?.setAttribute("open", "");
    field.input.focus();
  }
}

/** Each accordion's title line says what in it is on. */
export function showChanges(form, root) {
  const sections = all("details.section", root).map((details) => ({
    note: one("[data-changed]", details),
    names: all("[data-knob]", details).map((element) => element.dataset.knob),
  }));
  const update = () => {
    for (const { note, names } of sections) {
      const on = names.map((name) => form.field(name)).filter((field) => field.changed);
      say(note, on.map((field) => `${field.label} ${field.shown}`).join(" · "));
    }
  };
  form.onChange(update);
  update();
}
