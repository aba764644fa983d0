// One language: texts and templates with their translations.

import { madeOf } from "./words.js";

const HOLE = /\{(\w+)\}/g;
const GROUPED = /^-?\d{1,3}(,\d{3})+$/;
const DECIMAL = /^-?\d+\.\d+$/;
const NUMBER = "([-\\d.,e]+)"; // what those stand for that are always numbers
const NUMBERS = new Set(["n", "index", "total"]);
const LETTER = /\p{L}/u;
const BETWEEN_PARTS = " · ";
const BETWEEN_SENTENCES = /(?<=[.!?]) (?=\S)/;
const MOST_KNOWN = 5000;
// Placeholders that stand for other texts of the program; what stands in all others is left as it is.
const TEXTS = /^(?:help|label|what|where|words|said|sentence|soon|stage|state|use|kind|first|of|left|seconds|time|about|problem|reason|advice|cause|usual|now|size|which|note|part|value|text|when|ended|again|shape|done|count|method|there|found|undone|undoable)\d*$/;
const NAMES = /^(?:name|file|path|title|prompt|tag|folder|host|url|id|model|version)\d*$/;

export class Dictionary {
  #words;
  #templates = null;
  #known = new Map();
  #plurals;
  #numbers;

  constructor(language, words) {
    this.language = language;
    this.#words = words;
    this.#plurals = new Intl.PluralRules(language);
    this.#numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 20 });
  }

  /** `text` in this language; the same where there is nothing to translate. Spaces around it stay. */
  translate(text) {
    const bare = text.trim();
    if (!bare) return text;
    const clean = bare.replace(/\s+/g, " ");
    const said = this.#whole(clean);
    return said === clean ? text : text.replace(bare, () => said);
  }

  #whole(text) {
    const made = madeOf(text);
    if (made) return this.#fill(made[0], made[1], this.#form(made[0], made[1]), (value, name) => this.#value(value, name));
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const said = this.#exact(text) ?? this.#inPieces(text, BETWEEN_PARTS, BETWEEN_PARTS) ?? this.#found(text) ?? this.#inPieces(text, BETWEEN_SENTENCES, " ") ?? this.#named(text) ?? text;
    if (this.#known.size > MOST_KNOWN) this.#known.clear();
    this.#known.set(text, said);
    return said;
  }

  #found(text) {
    if (GROUPED.test(text)) return this.#number(text);
    return LETTER.test(text) ? this.#byTemplate(text) : undefined;
  }

  #exact(text) {
    const value = Object.hasOwn(this.#words, text) ? this.#words[text] : undefined;
    return typeof value === "string" ? value : undefined;
  }

  // "Step 3/20 · about 5 s", and several sentences in a row: each part by itself.
  #inPieces(text, cut, glue) {
    const parts = text.split(cut);
    const said = parts.length > 1 ? parts.map((part) => this.#whole(part)) : parts;
    return said.some((part, at) => part !== parts[at]) ? said.join(glue) : undefined;
  }

  // "Extension: option": only where both are texts of the program.
  #named(text) {
    const at = text.indexOf(": ");
    const parts = at < 0 ? [] : [text.slice(0, at), text.slice(at + 2)].map((part) => this.#exact(part));
    return parts.length && parts.every((part) => part !== undefined) ? parts.join(": ") : undefined;
  }

  #byTemplate(text) {
    for (const { template, part, pattern, names } of this.#sorted()) {
      if (!text.includes(part)) continue;
      const match = pattern.exec(text);
      if (!match) continue;
      const values = Object.fromEntries(names.map((name, at) => [name, match[at + 1]]));
      return this.#fill(template, values, this.#form(template, values), (value, name) => this.#captured(value, name));
    }
    return undefined;
  }

  // Those with the most letters of their own first: they say most about what a text is.
  #sorted() {
    this.#templates ??= Object.keys(this.#words)
      .filter((text) => text.includes("{") && LETTER.test(text.replace(HOLE, "")))
      .map(compiled)
      .sort((one, other) => other.weight - one.weight);
    return this.#templates;
  }

  #form(template, values) {
    const value = Object.hasOwn(this.#words, template) ? this.#words[template] : template;
    if (typeof value === "string") return value;
    const by = value.by ?? ("n" in values ? "n" : [...template.matchAll(HOLE)][0]?.[1]);
    const counted = Number(String(values[by] ?? "").replaceAll(",", ""));
    return value[Number.isFinite(counted) ? this.#plurals.select(counted) : "other"] ?? value.other ?? template;
  }

  #fill(template, values, form, shown) {
    return form.replace(HOLE, (whole, name) => (name in values ? shown(values[name], name) : whole));
  }

  // What a script gave: its own sentences are translated, all other texts are what a person wrote or chose.
  #value(value, name) {
    const text = String(value);
    return madeOf(text) ? this.#whole(text) : this.#captured(text, name);
  }

  #captured(text, name) {
    if (!NAMES.test(name) && (GROUPED.test(text) || DECIMAL.test(text))) return this.#number(text);
    return TEXTS.test(name) ? this.#whole(text) : text;
  }

  #number(text) {
    const bare = text.replaceAll(",", "");
    const digits = bare.split(".")[1]?.length ?? 0;
    if (!Number.isSafeInteger(Math.trunc(Number(bare)))) return text;
    return digits ? new Intl.NumberFormat(this.language, { minimumFractionDigits: Math.min(20, digits), useGrouping: false }).format(Number(bare)) : this.#numbers.format(Number(bare));
  }
}

function compiled(template) {
  const parts = template.split(HOLE); // text, name, text, name, ..., text
  const texts = parts.filter((_, at) => at % 2 === 0);
  const names = parts.filter((_, at) => at % 2 === 1);
  const plain = texts.map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  const source = plain.map((text, at) => text + (at < names.length ? (NUMBERS.has(names[at]) ? NUMBER : "([^]+?)") : "")).join("");
  const part = texts.reduce((longest, text) => (text.length > longest.length ? text : longest), "");
  return { template, part, names, pattern: new RegExp(`^${source}$`, "u"), weight: texts.join("").length };
}
