// The prompt boxes: tokens, chunk borders, what could not be understood, and the keys that change weights.

import { post } from "./api.js";
import { all, later, make, one, say } from "./dom.js";
import { Autocomplete } from "./complete.js";
import { drawMarks, inUnits } from "./marks.js";
import { names } from "./names.js";
import { replaceText, splice } from "./textbox.js";
import { sentence, tagsInVain, unknownNames } from "./unknown.js";
import { changeWeight, moveItem } from "./weights.js";
import { t } from "./words.js";

const MATTER = ["emphasis", "comma_padding_backtrack", "steps"];
const MOST_NOTES = 3;

/** Wire the prompt boxes of a tab; `useStyle(name)` puts a style on its form. */
export function wirePrompts(form, root, useStyle = () => {}) {
  for (const element of all(".field.prompt", root)) new PromptBox(form, element, useStyle);
}

class PromptBox {
  #form;
  #element;
  #box;
  #negative;
  #latest = 0;
  #counted = { text: "", borders: [], problems: [] };

  constructor(form, element, useStyle) {
    this.#form = form;
    this.#element = element;
    this.#box = one("textarea", element);
    const knob = element.dataset.knob;
    this.#negative = knob === "negative_prompt";
    const askLater = later(() => this.#ask(), 200);
    const changed = () => {
      one("[data-mirror]", element).replaceChildren(); // marks of the text before would stand in wrong places
      askLater();
    };
    form.onChange((changes) => {
      if (changes.includes(knob)) fit(this.#box);
      if (changes.some((name) => name === knob || MATTER.includes(name))) changed();
    });
    names.onChange(() => this.#draw());
    this.#box.addEventListener("scroll", () => (one("[data-mirror]", element).scrollTop = this.#box.scrollTop));
    this.#box.addEventListener("keydown", (event) => weightKeys(event, this.#box));
    new Autocomplete(element, useStyle);
    changed();
  }

  async #ask() {
    const mine = ++this.#latest;
    const text = this.#box.value;
    const values = Object.fromEntries(MATTER.map((name) => [name, this.#form.get(name)]));
    const count = await post("tokens", { text, negative: this.#negative, ...values }).catch(() => null);
    if (mine !== this.#latest || !count) return;
    this.#counted = { text, borders: inUnits(text, count.borders), problems: count.problems ?? [] };
    this.#tokens(count);
    this.#draw();
  }

  #tokens({ used, limit, fills }) {
    const output = one("[data-counter]", this.#element);
    output.textContent = `${used}/${limit}`;
    output.classList.toggle("over", limit > 75);
    const starts = this.#counted.borders;
    output.title = starts.length ? "" : t("{n} tokens until a second chunk of 75 starts", { n: limit - used });
    say(one("[data-chunks]", this.#element), starts.length ? chunkWords(this.#counted.text, starts, fills) : "");
  }

  #draw() {
    const { text, borders, problems } = this.#counted;
    if (text !== this.#box.value) return; // still being written
    const unknown = unknownNames(text, this.#negative);
    const mirror = one("[data-mirror]", this.#element);
    drawMarks(mirror, text, borders, unknown);
    mirror.scrollTop = this.#box.scrollTop;
    this.#notes(problems, unknown);
  }

  #notes(problems, unknown) {
    const vain = this.#negative ? tagsInVain(this.#box.value) : [];
    const told = [
      ...problems.map((textContent) => make("li", { textContent })),
      ...vain.map((tag) => make("li", { textContent: t("{tag} is only text here: networks belong into the prompt.", { tag }) })),
      ...unknown.map((name) => this.#suggestion(name)),
    ];
    const more = told.length - MOST_NOTES;
    if (more > 1) told.splice(MOST_NOTES, more, make("li", { textContent: t("And {n} more like these.", { n: more }) }));
    one("[data-notes]", this.#element).replaceChildren(...told);
  }

  #suggestion(unknown) {
    const item = make("li", { textContent: sentence(unknown) });
    if (!unknown.near) return item;
    const button = make("button", { type: "button", className: "quiet", translate: false, textContent: unknown.near });
    button.addEventListener("click", () => this.#mend(unknown));
    item.append(button, "?");
    return item;
  }

  // Other words may have been mended meanwhile: the name is looked for again.
  #mend({ name, kind }) {
    const found = unknownNames(this.#box.value, this.#negative).find((one) => one.name === name && one.kind === kind);
    if (found) splice(this.#box, found.start, found.end, found.near);
  }
}

// Browsers without `field-sizing` grow the box by hand.
function fit(box) {
  if (CSS.supports("field-sizing", "content")) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

function chunkWords(text, starts, fills) {
  const places = starts.map((start) => `“${firstWord(text.slice(start))}”`);
  const values = { n: starts.length + 1, places: places.join(", "), fills: fills?.join(" + ") };
  if (!fills?.length) return t("{n} chunks of 75 tokens; a new one starts at {places}.", values);
  return t("{n} chunks of 75 tokens ({fills}); a new one starts at {places}.", values);
}

function firstWord(text) {
  const word = text.replace(/^[\s,.]+/, "").split(/[\s,]/)[0];
  return word.length > 20 ? `${word.slice(0, 20)}…` : word;
}

function weightKeys(event, box) {
  const turn = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const { value, selectionStart: start, selectionEnd: end } = box;
  let result = null;
  if (turn && (event.ctrlKey || event.metaKey)) result = changeWeight(value, start, end, turn);
  else if (move && event.altKey && !event.ctrlKey) result = moveItem(value, start, move);
  else return;
  event.preventDefault();
  if (result) replaceText(box, result);
}
