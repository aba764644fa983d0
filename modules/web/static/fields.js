// The form: reads and writes the widgets that form.py made from the request's parameters.

import { all, one, say } from "./dom.js";
import { t } from "./words.js";

const WHOLE = /^\s*[-+]?\d+\s*$/;
const SIZE = /^\s*(\d{2,5})\s*[x×*,]\s*(\d{2,5})\s*$/i;

class Field {
  constructor(element) {
    this.element = element;
    this.name = element.dataset.knob;
    this.kind = element.dataset.kind;
    this.label = element.dataset.label;
    this.optional = "optional" in element.dataset;
    this.isPart = "part" in element.dataset; // the switch of a part of the request
    this.isLocal = "local" in element.dataset; // of the page alone: kept, but not asked for
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
      this.input.add(Object.assign(new Option(value, value), { translate: false }));
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

/** Radio buttons side by side. */
class Choice extends Field {
  constructor(element) {
    super(element);
    this.input = element; // their events arrive here
  }

  get value() {
    return one("input:checked", this.element)?.value ?? this.default;
  }

  set value(value) {
    const known = all("input", this.element).find((option) => option.value === String(value));
    if (known) known.checked = true;
  }

  get shown() {
    return this.value;
  }

  blame() {}
}

const fieldOf = (element) => new (element.dataset.kind === "choice" ? Choice : Field)(element);

function whole(text) {
  if (!WHOLE.test(text)) return text.trim();
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text.trim();
}

function fraction(text) {
  const number = Number(text.replace(",", "."));
  return Number.isFinite(number) ? number : text.trim();
}

/** "hires.scale" of {hires: {scale: 2}}: a part's own values beside the part, which is then on. */
function flat(values) {
  const pairs = Object.entries(values).flatMap(([name, value]) => {
    const isPart = value !== null && typeof value === "object" && !Array.isArray(value);
    if (isPart && value.settled) return [[name, null]]; // an extension whose work is in the prompts already
    const inside = isPart ? Object.entries(flat(value)).map(([key, one]) => [`${name}.${key}`, one]) : [];
    return [[name, value], ...inside];
  });
  return Object.fromEntries(pairs);
}

/** Put a value at its place, as in {hires: {scale: 2}}. */
function put(values, path, value) {
  let place = values;
  for (const key of path.slice(0, -1)) place = place[key] ??= {};
  place[path.at(-1)] = value;
}

/** The fields of a tab; those of `shared` (the models, in the top bar) belong to it as well. Names of a part's fields
 * are "part.name"; what asks for them nests them. */
export class Form {
  #fields = new Map();
  #own = [];
  #shared;
  #listeners = [];

  constructor(root, shared = null) {
    this.#shared = shared;
    for (const name of shared?.names ?? []) this.#fields.set(name, shared.field(name));
    for (const element of all("[data-knob]", root)) this.#adopt(fieldOf(element));
    root.addEventListener("submit", (event) => event.preventDefault());
    shared?.onChange((names, chosen) => this.#tell(names, chosen));
  }

  #adopt(field) {
    this.#fields.set(field.name, field);
    this.#own.push(field);
    field.value = field.default;
    field.input.addEventListener("input", () => this.#edited(field));
    field.input.addEventListener("change", () => this.#tidy(field));
    field.range?.addEventListener("input", () => {
      field.input.value = field.range.value;
      this.#edited(field);
    });
    field.range?.addEventListener("dblclick", () => this.reset([field.name]));
    one("legend, label", field.element).addEventListener("dblclick", (event) => {
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

  /** A field that no widget stands for: anything with the properties of `Field` but its elements. */
  adopt(field) {
    this.#fields.set(field.name, field);
    this.#own.push(field);
    field.value = field.default;
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

  has(name) {
    return this.#fields.has(name);
  }

  field(name) {
    return this.#fields.get(name);
  }

  /** The switch of the part of that name, or null. */
  part(name) {
    const field = this.#fields.get(name);
    return field?.isPart ? field : null;
  }

  get(name) {
    return this.#fields.get(name).value;
  }

  /** Set many fields; names that the form does not have are left out. `chosen`: somebody asked for these values. */
  fill(values, chosen = true) {
    const wanted = flat(values);
    if ("extensions" in values) for (const name of this.#extensions()) wanted[name] ??= null; // all others are off
    const own = this.#own.filter((field) => field.name in wanted);
    for (const field of own) field.value = wanted[field.name];
    this.blame(null);
    this.#tell(own.map((field) => field.name), chosen);
    const others = Object.keys(wanted).filter((name) => this.#shared?.has(name));
    if (others.length) this.#shared.fill(Object.fromEntries(others.map((name) => [name, wanted[name]])), chosen);
  }

  reset(names) {
    this.fill(Object.fromEntries(names.map((name) => [name, this.#fields.get(name).default])));
  }

  /** Another default (the checkpoint's own size); a field still at its old default follows. */
  changeDefault(name, value) {
    const field = this.#fields.get(name);
    if ("program" in field) {
      field.program = value; // the person's own wins
      return;
    }
    const follows = !field.changed;
    field.default = value;
    if (follows) this.fill({ [name]: value }, false);
  }

  /** The person's own defaults, by field; all others have the program's. Fields at their old default follow. */
  useDefaults(values) {
    const moved = {};
    for (const field of this.#own.filter((one) => one.element)) {
      const isOwn = field.name in values;
      if (!isOwn && !("program" in field)) continue;
      const follows = !field.changed;
      if (!("program" in field)) field.program = field.default;
      field.default = isOwn ? values[field.name] : field.program;
      if (!isOwn) delete field.program;
      if (follows) moved[field.name] = field.default;
    }
    this.fill(moved, false);
  }

  /** What can be a default or a preset: what is changed of this form's own fields that can be seen. With `names` those
   * of them, changed or not. */
  choices(names = null) {
    const wanted = names ? (field) => names.includes(field.name) : (field) => field.changed || "program" in field;
    const fields = this.#own.filter((field) => !field.isLocal && !field.element?.hidden && wanted(field));
    return Object.fromEntries(fields.map((field) => [field.name, field.value]));
  }

  /** What is asked for: every value, those of parts in the part, a part that is off null. */
  values() {
    const values = {};
    const fields = [...this.#fields.values()].filter((field) => !field.isLocal);
    for (const field of fields.filter((one) => !one.isPart)) {
      put(values, field.name.split("."), field.value);
    }
    for (const field of fields.filter((one) => one.isPart)) {
      const [part, extension] = field.name.split(".");
      if (!extension) values[part] = field.value ? values[part] : null;
      else if (field.value) (values[part] ??= {})[extension] ??= {};
      else delete values[part]?.[extension];
    }
    return values;
  }

  /** The switches of extensions, which are parts of the request by other names. */
  #extensions() {
    return this.#own.filter(({ isPart, name }) => isPart && name.startsWith("extensions.")).map(({ name }) => name);
  }

  /** Only what of this form's own fields is not at its default: what is remembered. */
  changes() {
    return Object.fromEntries(this.#own.filter((field) => field.changed).map((field) => [field.name, field.value]));
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

/** Each accordion's title line says what in it is on; an accordion with a switch only while that is on. */
export function showChanges(form, root) {
  const telling = all("details.section", root).filter((details) => one("[data-changed]", details));
  const sections = telling.map((details) => ({
    note: one("[data-changed]", details),
    part: form.part(details.dataset.section),
    names: all("[data-knob]", details).map((element) => element.dataset.knob),
  }));
  const update = () => {
    for (const { note, part, names } of sections) {
      const changed = part && !part.value ? [] : names.map((name) => form.field(name)).filter((field) => field.changed);
      note.dataset.said = changed.map(({ label, shown }) => t("{label} {value}", { label, value: shown })).join(" · ");
      say(note, note.dataset.said);
    }
  };
  form.onChange(update);
  wireSwitches(form, root);
  update();
}

// What is switched on by hand opens, what is switched off closes.
function wireSwitches(form, root) {
  for (const section of all("[data-part-section]", root)) {
    const { input } = form.field(section.dataset.partSection);
    input.addEventListener("change", () => (one("details", section).open = input.checked));
  }
}
