// How a network is written into a prompt, and whether it stands there already.

import { splice } from "./textbox.js";

const TAGGED = ["lora", "hypernet"]; // the kinds that are named by a tag; its word is the kind

/** What is put into a prompt for a file: an embedding's name, or a tag with its default weight. */
export function tagOf({ kind, name, weight }) {
  return TAGGED.includes(kind) ? `<${kind}:${name}:${weight || 1}>` : name;
}

/** The part of `text` that names this file, with the comma or space before it: {start, end}, or null. */
export function findTag(text, { kind, name }) {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const tag = TAGGED.includes(kind)
    ? new RegExp(`,?\\s*<${kind}:${escaped}(?::[^<>]*)?>`, "i")
    : new RegExp(`(?:^|,\\s*|\\s+|(?<=[(\\[|:]))${escaped}(?=$|[\\s,:)\\]|])`, "i");
  const match = tag.exec(text);
  return match && { start: match.index, end: match.index + match[0].length };
}

/** Put words at the end of a box where `on`, else take them out from there. */
export function toggleWords(box, words, on) {
  const text = box.value.replace(/[\s,]+$/, "");
  if (on && !text.includes(words)) splice(box, 0, box.value.length, text ? `${text}, ${words}` : words);
  else if (!on && text.endsWith(words)) splice(box, 0, box.value.length, text.slice(0, -words.length).replace(/[\s,]+$/, ""));
}

/** Put a file's tag and its trigger words at the end of the box, or take them out again; true when it is in now. */
export function toggleTag(box, entry) {
  const place = findTag(box.value, entry);
  if (place) {
    let { end } = place;
    const words = entry.trigger && box.value.slice(end).startsWith(`, ${entry.trigger}`);
    if (words) end += entry.trigger.length + 2;
    splice(box, place.start, end, "");
    return false;
  }
  const text = box.value.replace(/[\s,]+$/, "");
  const trigger = entry.trigger && !text.includes(entry.trigger) ? `, ${entry.trigger}` : "";
  splice(box, text.length, box.value.length, `${text ? ", " : ""}${tagOf(entry)}${trigger}`);
  return true;
}
