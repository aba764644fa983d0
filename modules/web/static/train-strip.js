// The previews of a run: a strip that grows to the right, and a slider between any two of them.

import { all, make, one } from "./dom.js";
import { number, t } from "./words.js";

const PLAIN = "plain"; // the picture without the new word

/** Previews by what they show: a step, or "plain". */
export class Strip {
  #root;
  #strip;
  #compare;
  #pictures = new Map(); // step or "plain" -> Map(index -> address)
  #cells = new Map(); // "step index" -> element
  #chosen = { a: null, b: null, seed: 0 };
  #follows = true; // the right one is the newest until another is chosen
  #run = null;
  #atEnd = true; // the newest is in sight, and stays so

  constructor(root) {
    this.#root = root;
    this.#strip = one("[data-strip]", root);
    this.#compare = one("[data-compare]", root);
    for (const select of all("[data-compare-step]", root)) {
      select.addEventListener("change", () => this.#choose({ [select.dataset.compareStep]: key(select.value) }));
    }
    const seed = one("[data-compare-seed]", root);
    seed.addEventListener("change", () => this.#choose({ seed: Number(seed.value) }));
    const slider = one("[data-compare-slider]", root);
    slider.addEventListener("input", () => this.#slide(slider.value));
    this.#slide(slider.value);
    this.#strip.addEventListener("scroll", () => (this.#atEnd = this.#strip.scrollLeft + this.#strip.clientWidth >= this.#strip.scrollWidth - 24));
    new ResizeObserver(() => this.#atEnd && this.#toEnd()).observe(this.#strip);
    this.#strip.addEventListener("keydown", (event) => this.#keys(event));
  }

  /** Show the files of that run: {kind, step, index, url}. */
  show(run, files) {
    if (run !== this.#run) {
      this.#chosen = { a: null, b: null, seed: 0 };
      this.#follows = true;
      this.#atEnd = true;
      this.#cells.clear();
    }
    this.#run = run;
    this.#pictures = new Map();
    for (const { kind, step, index, url } of files) {
      if (kind !== "preview" && kind !== "plain") continue;
      const of = kind === "plain" ? PLAIN : step;
      if (!this.#pictures.has(of)) this.#pictures.set(of, new Map());
      this.#pictures.get(of).set(index, url);
    }
    this.#settle();
    this.#drawStrip();
    this.#drawCompare();
  }

  get #steps() {
    return [...this.#pictures.keys()].filter((of) => of !== PLAIN).sort((a, b) => a - b);
  }

  get #all() {
    return this.#pictures.has(PLAIN) ? [PLAIN, ...this.#steps] : this.#steps;
  }

  get #seeds() {
    const indices = [...this.#pictures.values()].flatMap((pictures) => [...pictures.keys()]);
    return [...new Set(indices)].sort((a, b) => a - b);
  }

  // At first what was there before the training, and the newest.
  #settle() {
    const known = this.#all;
    if (!known.includes(this.#chosen.a)) this.#chosen.a = known[0] ?? null;
    if (this.#follows || !known.includes(this.#chosen.b)) this.#chosen.b = known.at(-1) ?? null;
    if (!this.#seeds.includes(this.#chosen.seed)) this.#chosen.seed = this.#seeds[0] ?? 0;
  }

  #choose(choice) {
    Object.assign(this.#chosen, choice);
    if ("b" in choice) this.#follows = choice.b === this.#all.at(-1);
    this.#drawCompare();
    this.#markChosen();
    const shown = new CustomEvent("step-chosen", { detail: this.#chosen.b });
    if ("b" in choice && choice.b !== PLAIN) this.#root.dispatchEvent(shown);
  }

  // --- the strip ---

  #drawStrip() {
    const room = this.#strip;
    room.style.setProperty("--seeds", Math.max(1, this.#seeds.length));
    room.parentElement.hidden = !this.#all.length;
    const cells = this.#all.flatMap((of) => [this.#head(of), ...this.#seeds.map((index) => this.#cell(of, index))]);
    if (cells.some((cell, at) => room.children[at] !== cell) || room.children.length !== cells.length) room.replaceChildren(...cells);
    this.#markChosen();
    if (this.#atEnd) this.#toEnd();
  }

  #toEnd() {
    this.#strip.scrollLeft = this.#strip.scrollWidth;
  }

  #head(of) {
    return this.#kept(`head ${of}`, () => make("span", { className: `strip-head ${of === PLAIN ? PLAIN : ""}`, textContent: label(of) }));
  }

  #cell(of, index) {
    const source = this.#pictures.get(of).get(index);
    if (!source) return this.#kept(`none ${of} ${index}`, () => make("span", { className: `strip-none ${of === PLAIN ? PLAIN : ""}` }));
    return this.#kept(`${of} ${index}`, () => {
      const image = make("img", { alt: "", src: source, loading: "lazy", decoding: "async" });
      const button = make("button", { type: "button", className: `strip-cell ${of === PLAIN ? PLAIN : ""}`, ariaLabel: pictureWords(of, index) }, image);
      Object.assign(button.dataset, { of, index });
      button.addEventListener("click", () => this.#choose({ b: of, seed: index }));
      return button;
    });
  }

  #kept(name, build) {
    if (!this.#cells.has(name)) this.#cells.set(name, build());
    return this.#cells.get(name);
  }

  #markChosen() {
    for (const cell of all(".strip-cell", this.#strip)) {
      const { of, index } = cell.dataset;
      const chosen = key(of) === this.#chosen.b && Number(index) === this.#chosen.seed;
      cell.setAttribute("aria-pressed", String(chosen));
    }
  }

  #keys(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const next = this.#all[this.#all.indexOf(this.#chosen.b) + by];
    event.preventDefault();
    if (next === undefined) return;
    this.#choose({ b: next });
    one('[aria-pressed="true"]', this.#strip)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // --- two of them ---

  #drawCompare() {
    const { a, b, seed } = this.#chosen;
    for (const [side, of] of [["a", a], ["b", b]]) {
      const source = this.#pictures.get(of)?.get(seed);
      const image = one(`[data-compare-${side}]`, this.#compare);
      image.hidden = !source;
      image.alt = source ? pictureWords(of, seed) : "";
      if (source && image.src !== source) image.src = source;
      fillChoices(one(`[data-compare-step="${side}"]`, this.#compare), this.#all.map((one) => [one, one === PLAIN ? label(one) : words(one)]), of);
    }
    fillChoices(one("[data-compare-seed]", this.#compare), this.#seeds.map((index) => [index, String(index + 1)]), seed);
    const some = this.#all.length > 0;
    one("[data-compare-empty]", this.#compare).hidden = some;
    one("[data-compare-slider]", this.#compare).hidden = !some;
    one("[data-compare-line]", this.#compare).hidden = !some;
    one(".compare-tools", this.#compare).hidden = !some;
  }

  #slide(share) {
    one("[data-compare-stage]", this.#compare).style.setProperty("--share", `${share}%`);
  }
}

const key = (of) => (of === PLAIN ? PLAIN : Number(of));
const label = (of) => (of === PLAIN ? "Without" : number(of));
const words = (of) => (of === PLAIN ? "Without the word" : t("Step {step}", { step: number(of) }));
const pictureWords = (of, index) => t("{first}, picture {n}", { first: words(of), n: index + 1 });

/** Options of a list as [value, words]; what is open stays open where nothing is new. */
export function fillChoices(select, choices, value) {
  const same = select.options.length === choices.length && choices.every(([one], at) => select.options[at].value === String(one));
  if (!same) select.replaceChildren(...choices.map(([one, text]) => new Option(text, one)));
  select.value = String(value ?? "");
}
