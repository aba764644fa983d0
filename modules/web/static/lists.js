// Lists of files (checkpoints, VAEs, upscalers) wherever they are on the page, also in tabs that are drawn later.

import { all } from "./dom.js";

const WORDS = new Set(["", "None", "Automatic"]); // all else is names of files
const known = {}; // list name -> function that makes its options

function fill(select) {
  select.own ??= [...select.options]; // what stands before the files
  const value = select.value;
  const rest = known[select.dataset.list]();
  for (const option of rest) option.translate = WORDS.has(option.value) || "words" in option.dataset;
  const seen = new Set(rest.map((option) => option.value));
  select.replaceChildren(...select.own.filter((option) => !seen.has(option.value)), ...rest);
  // A file that has gone, or is not yet listed, stays chosen: it is never replaced silently.
  if (value && ![...select.options].some((option) => option.value === value)) select.add(Object.assign(new Option(value, value), { translate: false }));
  if (value || select.own.some((option) => option.value === "")) select.value = value;
}

/** Remember new lists, and fill what is on the page with them. */
export function fillLists(lists) {
  Object.assign(known, lists);
  fillListsIn(document);
}

/** Fill the lists below `root`, as far as they are known. */
export function fillListsIn(root) {
  all("select[data-list]", root).filter((select) => known[select.dataset.list]).forEach(fill);
}
