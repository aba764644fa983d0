// What is drawn behind a prompt's text: the borders of its chunks, and a wave under names that nothing answers to.

import { make } from "./dom.js";

/** `borders`: offsets where a chunk starts; `waves`: [{start, end}]. The mirror's own ink is transparent. */
export function drawMarks(mirror, text, borders, waves) {
  const cuts = [
    ...borders.map((at) => ({ at, end: at, node: () => make("i", { className: "border" }) })),
    ...waves.map(({ start, end }) => ({ at: start, end, node: () => make("u", { textContent: text.slice(start, end) }) })),
  ].sort((a, b) => a.at - b.at);
  const parts = [];
  let from = 0;
  for (const { at, end, node } of cuts) {
    if (at < from) continue; // a chunk may start within a name
    parts.push(text.slice(from, at), node());
    from = end;
  }
  if (parts.length) parts.push(`${text.slice(from)}\n`);
  mirror.replaceChildren(...parts);
}

/** Python counts characters, JavaScript UTF-16 units. */
export function inUnits(text, offsets) {
  const wanted = new Set(offsets);
  const found = [];
  let characters = 0;
  let units = 0;
  for (const character of text) {
    if (wanted.has(characters)) found.push(units);
    characters += 1;
    units += character.length;
  }
  return found;
}
