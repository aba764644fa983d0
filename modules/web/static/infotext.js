// A picture's text in readable form: the words, then the parameters as quiet pairs.

import { make } from "./dom.js";

const PAIR = /\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/gu;

/** Draw A1111's text into `element`; text without parameters is shown as it is. */
export function showInfotext(element, text) {
  const lines = text.split("\n");
  const pairs = [...lines.at(-1).matchAll(PAIR)];
  if (pairs.length < 3) return element.replaceChildren(make("p", { translate: false, textContent: text }));
  const words = lines.slice(0, -1).join("\n");
  const [positive, negative] = split(words);
  element.replaceChildren(
    ...(positive ? [make("p", { className: "words", translate: false, textContent: positive })] : []),
    ...(negative ? [make("p", { className: "words without", translate: false, textContent: negative })] : []),
    make("dl", { className: "pairs", translate: false }, ...pairs.map(pair)),
  );
}

function split(words) {
  const at = words.search(/^Negative prompt:/m);
  return at < 0 ? [words, ""] : [words.slice(0, at).trim(), words.slice(at).trim()];
}

const LONG_HASH = /^[0-9a-f]{40,}$/;

function pair([, name, value]) {
  const shown = LONG_HASH.test(value) ? `${value.slice(0, 10)}…` : value;
  return make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: shown, title: value }));
}

/** The seed written in a picture's text, as text (it may have more digits than a number holds), or null. */
export function seedOf(text) {
  return /(?:^|, )Seed: (\d+)/.exec(text.split("\n").at(-1))?.[1] ?? null;
}
