// Autocomplete in a prompt box: embeddings and styles by their names, LoRA and hypernetworks behind `<`.
// Up and Down choose, Enter or Tab takes, Esc closes; the box keeps the focus all the while.

import { make, one } from "./dom.js";
import { KINDS, names } from "./names.js";
import { tagOf } from "./tags.js";
import { placeOf, splice } from "./textbox.js";
import { t } from "./words.js";

const MOST = 12;
const TAG_START = /<(lora|lyco|hypernet):([^<>:\n]*)$/i;
const TAG_OPEN = /<([a-z]*)$/i;
const WORD = /[^\s,()[\]{}<>:|\\]{2,}$/;
const TAG_KINDS = { lora: ["lora"], lyco: ["lora"], hypernet: ["hypernet"] };

export class Autocomplete {
  #box;
  #list;
  #negative;
  #useStyle;
  #options = [];
  #chosen = -1;
  #from = 0;

  /** `useStyle(name)` puts a style on the form. */
  constructor(element, useStyle) {
    this.#box = one("textarea", element);
    this.#list = one("[data-complete]", element);
    this.#negative = element.dataset.knob === "negative_prompt";
    this.#useStyle = useStyle;
    this.#box.addEventListener("input", (event) => this.#typed(event));
    this.#box.addEventListener("keydown", (event) => this.#keys(event));
    this.#box.addEventListener("blur", () => this.close());
    this.#box.addEventListener("click", () => this.close());
    this.#list.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
    this.#list.addEventListener("click", (event) => this.#clicked(event));
  }

  get open() {
    return this.#options.length > 0;
  }

  close() {
    this.#options = [];
    this.#chosen = -1;
    this.#list.hidden = true;
    this.#box.removeAttribute("aria-activedescendant");
    this.#box.removeAttribute("aria-controls");
  }

  // Only what is typed by hand opens the list: not what a button or an undo put there.
  #typed(event) {
    const byHand = event.inputType?.startsWith("insert") || event.inputType?.startsWith("deleteContent");
    const { selectionStart: caret, selectionEnd: end } = this.#box;
    const asked = byHand && caret === end && event.inputType !== "insertFromPaste" && wanted(this.#box.value.slice(0, caret));
    const options = asked ? search(asked, this.#negative) : [];
    if (!options.length) return this.close();
    this.#from = caret - asked.length;
    this.#show(options);
  }

  #show(options) {
    this.#options = options;
    this.#chosen = 0;
    this.#list.replaceChildren(...options.map((option, index) => this.#row(option, index)));
    this.#list.hidden = false;
    this.#box.setAttribute("aria-controls", this.#list.id);
    const { left, top, height } = placeOf(this.#box, this.#from);
    const room = this.#list.parentElement.clientWidth - this.#list.offsetWidth;
    this.#list.style.left = `${Math.max(0, Math.min(left - 12, room))}px`;
    this.#list.style.top = `${top + height + 4}px`;
    this.#choose(0);
  }

  #row({ label, note }, index) {
    const row = make("li", { id: `${this.#list.id}-${index}` }, make("span", { translate: false, textContent: label }));
    row.append(make("span", { className: "kind", textContent: note }));
    row.setAttribute("role", "option");
    return row;
  }

  #choose(index) {
    this.#chosen = (index + this.#options.length) % this.#options.length;
    [...this.#list.children].forEach((row, at) => row.setAttribute("aria-selected", String(at === this.#chosen)));
    const row = this.#list.children[this.#chosen];
    row.scrollIntoView({ block: "nearest" });
    this.#box.setAttribute("aria-activedescendant", row.id);
  }

  #keys(event) {
    if (!this.open || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const work = {
      ArrowDown: () => this.#choose(this.#chosen + 1),
      ArrowUp: () => this.#choose(this.#chosen - 1),
      Enter: () => this.#take(this.#chosen),
      Tab: () => this.#take(this.#chosen),
      Escape: () => this.close(),
    }[event.key];
    if (!work || event.shiftKey) return ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key) && this.close();
    event.preventDefault();
    event.stopPropagation(); // Esc closes the list and leaves the running job alone
    work();
  }

  #clicked(event) {
    const row = event.target.closest("li");
    if (row) this.#take([...this.#list.children].indexOf(row));
  }

  #take(index) {
    const { insert, style } = this.#options[index];
    const caret = this.#box.selectionStart;
    this.close();
    const text = this.#box.value;
    // A tag that is being mended is replaced up to its end.
    const rest = insert.startsWith("<") ? (/^[^<>\n]*>/.exec(text.slice(caret))?.[0].length ?? 0) : 0;
    splice(this.#box, this.#from, caret + rest, insert);
    if (style) this.#useStyle(style);
  }
}

/** What is being typed before the caret: {kinds, part, length}, or null. */
function wanted(before) {
  const tag = TAG_START.exec(before);
  if (tag) return { kinds: TAG_KINDS[tag[1].toLowerCase()], part: tag[2], length: tag[0].length, all: true };
  const open = TAG_OPEN.exec(before);
  if (open) {
    const kinds = Object.keys(TAG_KINDS).filter((word) => word.startsWith(open[1].toLowerCase()) && word !== "lyco");
    return { kinds: kinds.flatMap((word) => TAG_KINDS[word]), part: "", length: open[0].length, all: true };
  }
  const word = WORD.exec(before);
  return word && { kinds: ["embedding", "style", "lora", "hypernet"], part: word[0], length: word[0].length, all: false };
}

/** The best names first: those that begin with the part, then those where a word does, then those that hold it. */
function search({ kinds, part, all: tagged }, negative) {
  const lower = part.toLowerCase();
  const usable = negative ? kinds.filter((kind) => kind === "embedding" || kind === "style") : kinds;
  const found = [];
  for (const kind of usable) {
    for (const entry of kind === "style" ? names.styles : names.of(kind)) {
      const rank = rankOf(entry, lower);
      if (rank < (tagged ? 3 : 2) && !(rank === 0 && entry.name === part && !tagged)) found.push({ kind, entry, rank });
    }
  }
  found.sort((a, b) => a.rank - b.rank || a.entry.name.length - b.entry.name.length || a.entry.name.localeCompare(b.entry.name));
  return found.slice(0, MOST).map(option);
}

function rankOf({ name, alias }, part) {
  const at = name.toLowerCase().indexOf(part);
  if (at === 0) return 0;
  if (at > 0) return /[\s_.-]/.test(name[at - 1]) ? 1 : 2;
  return alias?.toLowerCase().startsWith(part) ? 1 : 3;
}

function option({ kind, entry }) {
  if (kind === "style") return { label: entry.name, note: "style", insert: "", style: entry.name };
  const vectors = kind === "embedding" && entry.vectors ? ` · ${t("{n} vectors", { n: entry.vectors })}` : "";
  return { label: entry.name, note: KINDS[kind].one + vectors, insert: tagOf(entry) };
}
