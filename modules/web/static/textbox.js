// Typing into a textarea for the user, and where on the page its text stands.

import { make, one } from "./dom.js";

/** Make `text` the box's text with {start, end} selected, in a way that the browser's undo takes back. */
export function replaceText(box, { text, start, end }) {
  const old = box.value;
  let head = 0;
  while (head < old.length && old[head] === text[head]) head++;
  let tail = 0;
  while (tail < Math.min(old.length, text.length) - head && old.at(-1 - tail) === text.at(-1 - tail)) tail++;
  if (document.activeElement !== box) box.focus({ preventScroll: true });
  box.setSelectionRange(head, old.length - tail);
  const fresh = text.slice(head, text.length - tail);
  const typed = fresh ? document.execCommand("insertText", false, fresh) : document.execCommand("delete");
  if (!typed) box.setRangeText(fresh);
  box.setSelectionRange(start, end);
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Replace the characters from `start` to `end` by `fresh`; the caret stands behind it. */
export function splice(box, start, end, fresh) {
  const caret = start + fresh.length;
  replaceText(box, { text: box.value.slice(0, start) + fresh + box.value.slice(end), start: caret, end: caret });
}

/** Where character `offset` of a prompt box stands, in pixels from the corner of its paper, and its line's height. */
export function placeOf(box, offset) {
  const paper = box.parentElement;
  const mark = make("span", { textContent: "​" });
  const ruler = make("div", { className: "mirror" }, box.value.slice(0, offset), mark, box.value.slice(offset) || " ");
  paper.append(ruler);
  ruler.scrollTop = box.scrollTop;
  const at = mark.getBoundingClientRect();
  const origin = paper.getBoundingClientRect();
  ruler.remove();
  return { left: at.left - origin.left, top: at.top - origin.top, height: at.height };
}

/** The prompt box of that name (prompt or negative_prompt) in `root`. */
export const promptBox = (name, root) => one(`.field.prompt[data-knob="${name}"] textarea`, root);
