// Names in a prompt that no file answers to, each with the nearest one that does.

import { distance, names } from "./names.js";
import { t } from "./words.js";

const TAG = /<(\w+):([^<>:]+)((?::[^<>]*)?)>/g;
const TAG_KINDS = { lora: "lora", lyco: "lora", hypernet: "hypernet" };
const WORD = /[^\s,()[\]{}<>:|\\"]+/g;
const SHORTEST = 5;

/** Unknown names of `text`: {start, end, name, kind, near (or null)} by where they stand; `negative`: tags are text. */
export function unknownNames(text, negative) {
  if (!names.loaded) return [];
  const tags = [...text.matchAll(TAG)].filter((match) => match[1].toLowerCase() in TAG_KINDS);
  const found = negative ? [] : tags.flatMap(unknownTag);
  const rest = text.replace(/<[^<>]*>/g, (tag) => " ".repeat(tag.length));
  return [...found, ...[...rest.matchAll(WORD)].flatMap(almostAnEmbedding)].sort((a, b) => a.start - b.start);
}

/** The tags of a negative prompt, which are only text there. */
export function tagsInVain(text) {
  return [...text.matchAll(TAG)].filter((match) => match[1].toLowerCase() in TAG_KINDS).map((match) => match[0]);
}

function unknownTag(match) {
  const kind = TAG_KINDS[match[1].toLowerCase()];
  const name = match[2];
  if (names.has(kind, name)) return [];
  const start = match.index + match[1].length + 2;
  return [{ start, end: start + name.length, name, kind, near: names.nearest(kind, name) }];
}

// An embedding is called by its plain name, so an unknown one is only known by its likeness to a known one: equal but
// for separators, or a slip of the finger in a word that is long enough not to be another word.
function almostAnEmbedding(match) {
  const word = match[0].replace(/[.;!?]+$/, "");
  const near = likeness(word.toLowerCase());
  if (!near) return [];
  return [{ start: match.index, end: match.index + word.length, name: word, kind: "embedding", near }];
}

let remembered = new Map();
names.onChange(() => (remembered = new Map()));

function likeness(word) {
  if (word.length < SHORTEST || names.has("embedding", word)) return null;
  if (!remembered.has(word)) remembered.set(word, search(word));
  return remembered.get(word);
}

function search(word) {
  const plain = bare(word);
  const slips = word.length >= 9 || /[\d_-]/.test(word) ? 3 : 2;
  let best = null;
  let least = slips;
  for (const { name } of names.of("embedding")) {
    const lower = name.toLowerCase();
    const steps = bare(lower) === plain ? 0 : distance(word, lower, least);
    if (steps < least) [best, least] = [name, steps];
  }
  return best;
}

const bare = (name) => name.replace(/[\s_.-]/g, "");

const SENTENCES = {
  style: ["There is no style “{name}” here.", "There is no style “{name}”; did you mean"],
  lora: ["There is no LoRA “{name}” here.", "There is no LoRA “{name}”; did you mean"],
  hypernet: ["There is no hypernetwork “{name}” here.", "There is no hypernetwork “{name}”; did you mean"],
  embedding: ["There is no embedding “{name}” here.", "There is no embedding “{name}”; did you mean"],
};

/** What is said of an unknown name under the box; the nearest one, where there is one, follows as a button. */
export function sentence({ name, kind, near }) {
  const [none, meant] = SENTENCES[kind];
  return near ? `${t(meant, { name })} ` : t(none, { name });
}
