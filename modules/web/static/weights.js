// Ctrl+Up and Ctrl+Down in a prompt: the weight of the selection, the bracket around the caret, or the word there.

const STEP = 0.1;
const NETWORK_STEP = 0.05;

const round = (number) => Number(number.toFixed(4));

/** {text, start, end} after adding `direction` (+1 or -1) steps to the weight at the selection; null: nothing there. */
export function changeWeight(text, start, end, direction) {
  const network = networkAt(text, start, end);
  if (network) return replaceNumber(text, network, round(network.weight + direction * NETWORK_STEP), start, end);
  const target = start === end ? (bracketAt(text, start) ?? wordAt(text, start)) : trimmed(text, start, end);
  if (!target) return null;
  return write(text, around(text, target), direction);
}

/** `<lora:name:0.8>` around the selection: where its number is. */
function networkAt(text, start, end) {
  const open = text.lastIndexOf("<", start);
  const close = text.indexOf(">", Math.max(start, open));
  if (open < 0 || close < 0 || end > close + 1 || text.slice(open, start).includes(">")) return null;
  const match = /^<[a-z]+:[^<>]+:(-?\d*\.?\d+)>$/i.exec(text.slice(open, close + 1));
  return match && { start: close - match[1].length, end: close, weight: Number(match[1]) };
}

function replaceNumber(text, { start: from, end: to }, weight, start, end) {
  const shown = String(weight);
  const grown = shown.length - (to - from);
  const keep = (place) => (place >= to ? place + grown : place);
  return { text: text.slice(0, from) + shown + text.slice(to), start: keep(start), end: keep(end) };
}

/** The inside of the innermost round bracket that holds the caret. */
function bracketAt(text, caret) {
  let depth = 0;
  for (let at = caret - 1; at >= 0; at--) {
    if (text[at - 1] === "\\") continue;
    if (text[at] === ")") depth++;
    else if (text[at] === "(" && depth-- === 0) return insideOf(text, at, caret);
  }
  return null;
}

function insideOf(text, open, caret) {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at - 1] === "\\") continue;
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth === 0) {
      if (at < caret) return null;
      const inside = text.slice(open + 1, at).replace(/:\s*-?\d*\.?\d+\s*$/, "");
      return { start: open + 1, end: open + 1 + inside.length };
    }
  }
  return null;
}

function wordAt(text, caret) {
  const before = /[^\s,.:;()[\]<>{}|\\]*$/.exec(text.slice(0, caret))[0].length;
  const after = /^[^\s,.:;()[\]<>{}|\\]*/.exec(text.slice(caret))[0].length;
  return before + after ? { start: caret - before, end: caret + after } : null;
}

function trimmed(text, start, end) {
  while (start < end && /\s/.test(text[start])) start++;
  while (end > start && /\s/.test(text[end - 1])) end--;
  return start < end ? { start, end } : null;
}

/** The brackets that already stand right around the target, and the weight they give. */
function around(text, { start, end }) {
  const opens = (at) => text[at] === "(" && text[at - 1] !== "\\";
  const number = /^:\s*(-?\d*\.?\d+)\s*\)/.exec(text.slice(end));
  if (number && opens(start - 1)) {
    return { from: start - 1, to: end + number[0].length, start, end, weight: Number(number[1]) };
  }
  let depth = 0;
  while (opens(start - depth - 1) && text[end + depth] === ")") depth++;
  return { from: start - depth, to: end + depth, start, end, weight: 1.1 ** depth };
}

function write(text, { from, to, start, end, weight }, direction) {
  const inside = text.slice(start, end);
  const wanted = round(Math.max(0, Number(weight.toFixed(2)) + direction * STEP));
  const plain = wanted === 1;
  const written = plain ? inside : `(${inside}:${wanted})`;
  const first = from + (plain ? 0 : 1);
  return { text: text.slice(0, from) + written + text.slice(to), start: first, end: first + inside.length };
}

/** Alt+Left and Alt+Right: the comma-separated item at the caret changes places with its neighbour. */
export function moveItem(text, caret, direction) {
  const items = text.split(",");
  let index = 0;
  let begin = 0;
  while (index < items.length - 1 && caret > begin + items[index].length) begin += items[index++].length + 1;
  const other = index + direction;
  if (other < 0 || other >= items.length) return null;
  const within = caret - begin;
  const spaces = (item) => /^\s*/.exec(item)[0];
  const [mine, yours] = [items[index], items[other]];
  items[index] = spaces(mine) + yours.trim();
  items[other] = spaces(yours) + mine.trim();
  const place = items.slice(0, other).reduce((sum, item) => sum + item.length + 1, 0);
  const start = Math.min(place + within + spaces(yours).length - spaces(mine).length, place + items[other].length);
  return { text: items.join(","), start: Math.max(place, start), end: Math.max(place, start) };
}
