// Keys that work anywhere on the page (A1111's): the others are beside what they act on.

import { all } from "./dom.js";

/** Ctrl+Enter generates, Alt+Enter skips, Esc interrupts, Alt+1..9 open tabs. `current()` gives the runner of the tab
 * in sight, or null. */
export function wireKeys(current) {
  document.addEventListener("keydown", (event) => {
    const work = shortcut(event, current());
    if (!work) return;
    event.preventDefault();
    work();
  });
}

function shortcut(event, runner) {
  if (event.isComposing) return null; // keys of an input method are not ours
  if (event.altKey && !event.ctrlKey && /^Digit[1-9]$/.test(event.code)) return () => tab(Number(event.code.at(-1)));
  if (!runner) return null;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return () => runner.generate();
  if (event.key === "Enter" && event.altKey) return () => runner.skip();
  if (event.key === "Escape" && runner.active && !document.querySelector("dialog[open], :popover-open")) return () => runner.interrupt();
  return null;
}

function tab(number) {
  all('#tabs [role="tab"]')[number - 1]?.click();
}
