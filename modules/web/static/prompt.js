// The prompt boxes: token counters, the borders of the 75-token chunks, and the keys that change weights.

import { post } from "./api.js";
import { all, later, make, one, say } from "./dom.js";
import { changeWeight, moveItem } from "./weights.js";

/** Wire the prompt boxes of a tab. */
export function wirePrompts(form, root) {
  for (const element of all(".field.prompt", root)) {
    const box = one("textarea", element);
    const count = counter(form, element, box);
    form.onChange((names) => {
      if (names.includes(element.dataset.knob)) fit(box);
      if (names.some((name) => [element.dataset.knob, "emphasis", "comma_padding_backtrack"].includes(name))) count();
    });
    box.addEventListener("scroll", () => (one("[data-mirror]", element).scrollTop = box.scrollTop));
    box.addEventListener("keydown", (event) => weightKeys(event, box));
    count();
  }
}

// Browsers without `field-sizing` grow the box by hand.
function fit(box) {
  if (CSS.supports("field-sizing", "content")) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

function counter(form, element, box) {
  let latest = 0;
  const ask = async () => {
    const mine = ++latest;
    const text = box.value;
    const body = { text, emphasis: form.get("emphasis"), comma_padding_backtrack: form.get("comma_padding_backtrack") };
    const count = await post("tokens", body).catch(() => null);
    if (mine === latest && count) show(element, text, count);
  };
  const askLater = later(ask, 200);
  return () => {
    one("[data-mirror]", element).replaceChildren(); // borders of the text before would stand in wrong places
    askLater();
  };
}

function show(element, text, { used, limit, borders }) {
  // Python counts characters, JavaScript UTF-16 units: cut by characters.
  const characters = [...text];
  const starts = borders.filter((border) => border < characters.length);
  const output = one("[data-counter]", element);
  output.textContent = `${used}/${limit}`;
  output.classList.toggle("over", limit > 75);
  output.title = starts.length ? "" : `${limit - used} tokens until a second chunk of 75 starts`;
  drawBorders(one("[data-mirror]", element), characters, starts);
  say(one("[data-chunks]", element), starts.length ? chunkWords(characters, starts) : "");
}

function chunkWords(characters, starts) {
  const places = starts.map((start) => `“${firstWord(characters.slice(start).join(""))}”`);
  return `${starts.length + 1} chunks of 75 tokens; a new one starts at ${places.join(", ")}.`;
}

function firstWord(text) {
  const word = text.replace(/^[\s,.]+/, "").split(/[\s,]/)[0];
  return word.length > 20 ? `${word.slice(0, 20)}…` : word;
}

// The mirror lies behind the box with the same text in transparent ink; only the marks in it are seen.
function drawBorders(mirror, characters, starts) {
  let from = 0;
  const parts = [];
  for (const start of starts) {
    parts.push(characters.slice(from, start).join(""), make("i", { className: "border" }));
    from = start;
  }
  if (parts.length) parts.push(characters.slice(from).join("") + "\n");
  mirror.replaceChildren(...parts);
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

// `insertText` is the only way that leaves the browser's undo working; it types over the part that differs.
function replaceText(box, { text, start, end }) {
  const old = box.value;
  let head = 0;
  while (head < old.length && old[head] === text[head]) head++;
  let tail = 0;
  while (tail < Math.min(old.length, text.length) - head && old.at(-1 - tail) === text.at(-1 - tail)) tail++;
  box.setSelectionRange(head, old.length - tail);
  const fresh = text.slice(head, text.length - tail);
  const typed = fresh ? document.execCommand("insertText", false, fresh) : document.execCommand("delete");
  if (!typed) box.setRangeText(fresh);
  box.setSelectionRange(start, end);
  box.dispatchEvent(new Event("input", { bubbles: true }));
}
