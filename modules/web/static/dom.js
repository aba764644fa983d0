// Small helpers over the document.

import { t } from "./words.js";

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const action = (name, root = document) => one(`[data-action="${name}"]`, root);

/** The panel of that name, as soon as Gradio has drawn it (a tab is drawn when it is first opened). */
export function panel(name) {
  const selector = `[data-panel="${name}"]`;
  return new Promise((resolve) => {
    const found = one(selector);
    if (found) return resolve(found);
    const watcher = new MutationObserver(() => {
      const late = one(selector);
      if (!late) return;
      watcher.disconnect();
      resolve(late);
    });
    watcher.observe(document.documentElement, { childList: true, subtree: true });
  });
}

/** Show `text` in `element`, or hide it when there is none. */
export function say(element, text) {
  element.textContent = text || "";
  element.hidden = !text;
}

/** An element with properties and children; text is never read as markup. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** `work` once the calls have stopped for `wait` ms. */
export function later(work, wait) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), wait);
  };
}

/** Copy text; false where the browser does not allow it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Let a button answer for a moment with other words. */
export function flash(button, words) {
  const label = one("span", button);
  if (!label || "was" in label.dataset) return;
  const was = [...label.childNodes];
  label.dataset.was = "";
  label.replaceChildren(words);
  setTimeout(() => {
    label.replaceChildren(...was);
    delete label.dataset.was;
  }, 1200);
}

/** Open a tab by its name. */
export function openTab(id) {
  one(`#${id}-button`)?.click();
}

/** Seconds as people say them. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t("{n} s", { n: whole });
  if (whole < 3600) return t("{m} min {s} s", { m: Math.floor(whole / 60), s: whole % 60 });
  return t("{h} h {m} min", { h: Math.floor(whole / 3600), m: Math.floor((whole % 3600) / 60) });
}
