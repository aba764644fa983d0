// One setting on its page: a native input, its default, the way back to it, and what is special about it.

import { make, say } from "./dom.js";

const words = (value) => (value === "" ? "empty" : { true: "on", false: "off" }[String(value)] ?? String(value));

export class Setting {
  #input;
  #note;
  #problem;
  #restore;
  #facts;

  /** `change(value)` sends a value; null is back to the default. */
  constructor(facts, isMine, change) {
    this.#facts = facts;
    this.isMine = isMine;
    this.name = facts.name;
    this.label = facts.label;
    this.key = isMine ? `mine.${facts.name}` : facts.name;
    this.text = `${facts.label} ${facts.name} ${facts.help}`.toLowerCase();
    const id = `setting-${this.key.replace(".", "-")}`;
    this.#input = inputOf(facts, id);
    this.#input.addEventListener("change", () => this.#input.checkValidity() && change(this.#typed));
    this.#input.addEventListener("invalid", () => this.blame(this.#input.validationMessage));
    this.#restore = make("button", { type: "button", className: "quiet setting-restore", textContent: "Restore" });
    this.#restore.setAttribute("aria-label", `Restore ${facts.label} to its default`);
    this.#restore.addEventListener("click", () => {
      this.#input.focus(); // the button goes
      change(null);
    });
    this.element = this.#made(id);
  }

  #made(id) {
    const { label, unit, help, name } = this.#facts;
    this.#note = make("p", { className: "setting-note", id: `${id}-note` });
    this.#problem = make("p", { className: "setting-problem", hidden: true });
    this.#problem.setAttribute("role", "alert");
    const title = make("label", { htmlFor: id, textContent: label });
    if (unit) title.append(make("span", { className: "unit", textContent: ` ${unit}` }));
    const about = make("p", { className: "help", id: `${id}-help`, textContent: help });
    const control = make("div", { className: "control setting-control" }, this.#input, this.#restore);
    this.#input.setAttribute("aria-describedby", `${id}-help ${id}-note`);
    const left = make("div", { className: "setting-words" }, title, about);
    const element = make("div", { className: "field setting" }, left, make("div", { className: "setting-side" }, control, this.#note, this.#problem));
    element.dataset.setting = this.key;
    element.title = name;
    return element;
  }

  get value() {
    return this.#facts.value;
  }

  get isChanged() {
    return this.#facts.changed;
  }

  get waits() {
    return Boolean(this.#facts.waits);
  }

  get #typed() {
    const { kind } = this.#facts;
    if (kind === "bool") return this.#input.checked;
    if (kind === "str") return this.#input.value;
    return this.#input.value === "" ? null : Number(this.#input.value);
  }

  /** Show what the server says of it. */
  show(facts) {
    this.#facts = facts;
    if (facts.kind === "bool") this.#input.checked = facts.value;
    else if (this.#input !== document.activeElement || this.#typed !== facts.value) this.#input.value = facts.value;
    this.#input.disabled = Boolean(facts.given);
    this.element.toggleAttribute("data-changed", facts.changed);
    this.#restore.hidden = !facts.changed || Boolean(facts.given);
    this.#note.textContent = this.#said();
  }

  #said() {
    const { given, waits, live, changed, in_force: now, default: usual } = this.#facts;
    if (given) return `Given at the start (${given}), which wins.`;
    const first = `${this.isMine ? "Everybody's" : "Default"}: ${words(usual)}`;
    if (waits) return `${first} · after restart (now ${words(now)})`;
    return `${first}${changed ? " · changed" : ""}${live === false ? " · after restart" : ""}`;
  }

  blame(sentence) {
    this.#input.toggleAttribute("aria-invalid", Boolean(sentence));
    this.element.classList.toggle("wrong", Boolean(sentence));
    say(this.#problem, sentence);
  }
}

function inputOf({ kind, choices, minimum, maximum }, id) {
  if (choices) return make("select", { id }, ...choices.map((choice) => new Option(choice, choice)));
  if (kind === "bool") {
    const input = make("input", { id, type: "checkbox" });
    input.setAttribute("role", "switch");
    return input;
  }
  const input = make("input", { id, type: kind === "str" ? "text" : "number", autocomplete: "off", spellcheck: false });
  if (kind !== "str") Object.assign(input, { min: minimum ?? "", max: maximum ?? "", step: kind === "int" ? 1 : "any" });
  return input;
}
