// One setting on its page: a native input, its default, the way back to it, and what is special about it.

import { make, say } from "./dom.js";
import { BUTTONS, PROBLEMS } from "./setting-actions.js";
import { languageOption } from "./language.js";
import { shown } from "./translate.js";
import { t } from "./words.js";

const SAID = { true: "on", false: "off", browser: "As the browser" };
const words = (value) => (String(value).trim() === "" ? "empty" : SAID[String(value)] ?? String(value));

export class Setting {
  #input;
  #note;
  #problem;
  #news;
  #restore;
  #own = null; // the setting's own button
  #facts;

  /** `change(value)` sends a value; null is back to the default. */
  constructor(facts, isMine, change) {
    this.#facts = facts;
    this.isMine = isMine;
    this.name = facts.name;
    this.label = facts.label;
    this.key = isMine ? `mine.${facts.name}` : facts.name;
    const id = `setting-${this.key.replace(".", "-")}`;
    this.#input = inputOf(facts, id);
    this.#input.addEventListener("change", () => this.#input.checkValidity() && change(this.#typed));
    this.#input.addEventListener("invalid", () => this.blame(this.#input.validationMessage));
    this.#restore = make("button", { type: "button", className: "quiet setting-restore", textContent: "Restore" });
    this.#restore.setAttribute("aria-label", t("Restore {label} to its default", facts));
    this.#restore.addEventListener("click", () => {
      this.#input.focus(); // the button goes
      change(null);
    });
    if (BUTTONS[this.key]) this.#own = this.#ownButton(BUTTONS[this.key]);
    this.element = this.#made(id);
  }

  #ownButton({ label, run }) {
    const button = make("button", { type: "button", className: "second small setting-own", textContent: label });
    button.addEventListener("click", async () => {
      button.disabled = true;
      this.blame("");
      say(this.#news, "");
      try {
        say(this.#news, await run());
      } catch (refused) {
        this.blame(refused.message);
      }
      button.disabled = false;
    });
    return button;
  }

  #made(id) {
    const { label, unit, help, name } = this.#facts;
    this.#note = make("p", { className: "setting-note", id: `${id}-note` });
    this.#problem = make("p", { className: "setting-problem", hidden: true });
    this.#problem.setAttribute("role", "alert");
    this.#news = make("p", { className: "setting-news", hidden: true });
    this.#news.setAttribute("role", "status");
    const title = make("label", { htmlFor: id, textContent: label });
    if (unit) title.append(make("span", { className: "unit", textContent: ` ${unit}` }));
    const about = make("p", { className: "help", id: `${id}-help`, textContent: help });
    const control = make("div", { className: "control setting-control" }, this.#input, ...(this.#own ? [this.#own] : []), this.#restore);
    this.#input.setAttribute("aria-describedby", `${id}-help ${id}-note`);
    const left = make("div", { className: "setting-words" }, title, about);
    const element = make("div", { className: "field setting" }, left, make("div", { className: "setting-side" }, control, this.#note, this.#news, this.#problem));
    element.dataset.setting = this.key;
    element.title = name;
    return element;
  }

  /** What is searched: in English and as it is shown. */
  get text() {
    const { label, name, help } = this.#facts;
    return [label, name, help, shown(label), shown(help)].join(" ").toLowerCase();
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

  /** Show again what the server said last. */
  takeBack() {
    this.show(this.#facts);
  }

  /** Show what the server says of it. */
  show(facts) {
    this.#facts = facts;
    if (facts.kind === "bool") this.#input.checked = facts.value;
    else if (this.#input !== document.activeElement || this.#typed !== facts.value) this.#input.value = facts.value;
    this.#input.disabled = Boolean(facts.given);
    this.element.toggleAttribute("data-changed", facts.changed);
    this.#restore.hidden = !facts.changed || Boolean(facts.given);
    if (this.#own) this.#own.hidden = !BUTTONS[this.key].when(facts.value);
    if (PROBLEMS[this.key]) this.blame(PROBLEMS[this.key](facts.value));
    this.#note.textContent = this.#said();
  }

  #said() {
    const { given, waits, live, changed, in_force: now, default: usual } = this.#facts;
    if (given) return t("Given at the start ({given}), which wins.", { given });
    const first = this.isMine ? t("Everybody's: {usual}", { usual: words(usual) }) : t("Default: {usual}", { usual: words(usual) });
    if (waits) return `${first} · ${t("after restart (now {now})", { now: words(now) })}`;
    return [first, changed && t("changed"), live === false && t("after restart")].filter(Boolean).join(" · ");
  }

  blame(sentence) {
    this.#input.toggleAttribute("aria-invalid", Boolean(sentence));
    this.element.classList.toggle("wrong", Boolean(sentence));
    say(this.#problem, sentence);
  }
}

// Languages are shown by the names that they have for themselves.
function optionOf(setting, choice) {
  if (setting !== "language") return new Option(choice, choice);
  return choice === "browser" ? new Option("As the browser", choice) : languageOption(choice);
}

function inputOf({ name, kind, choices, minimum, maximum }, id) {
  if (choices) return make("select", { id }, ...choices.map((choice) => optionOf(name, choice)));
  if (kind === "bool") {
    const input = make("input", { id, type: "checkbox" });
    input.setAttribute("role", "switch");
    return input;
  }
  const input = make("input", { id, type: kind === "str" ? "text" : "number", autocomplete: "off", spellcheck: false });
  if (kind !== "str") Object.assign(input, { min: minimum ?? "", max: maximum ?? "", step: kind === "int" ? 1 : "any" });
  return input;
}
