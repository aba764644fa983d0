// The border between the page, which is English, and the person, who may not be: texts and the attributes that are
// read are translated as they appear. Never what people wrote: nothing in inputs, nor below translate="no".

import { get } from "./api.js";
import { Dictionary } from "./dictionary.js";

const ATTRIBUTES = ["title", "placeholder", "aria-label", "alt", "aria-description", "aria-valuetext", "aria-roledescription", "aria-placeholder"];
const LEFT_ALONE = '[translate="no"], textarea, script, style, code, pre, kbd, svg, [contenteditable="true"]';

const IDENTIFIER = /^[a-z0-9]+(?:_[a-z0-9]+)*$/; // a parameter's name in the API

const given = globalThis.webuiWords ?? { language: "en", languages: ["en"], words: {} };
let dictionary = new Dictionary(given.language, given.words);

const texts = new WeakMap(); // text node -> {source, shown}
const attributes = new WeakMap(); // element -> {attribute: {source, shown}}

/** The tags of the languages there are. */
export const { languages } = given;

export const language = () => dictionary.language;

/** A sentence for where the page's border is not: questions of the browser, its notifications, drawings. */
export const shown = (text) => dictionary.translate(text);

/** The page in the language that the server says is this person's now. */
export async function changeLanguage() {
  const { language: now, words } = await get("words");
  dictionary = new Dictionary(now, words);
  document.documentElement.lang = now;
  translateBelow(document.documentElement, true);
  dispatchEvent(new CustomEvent("webui-language", { detail: now }));
}

function translateText(node, again = false) {
  const known = texts.get(node);
  if (known && node.data === known.shown && !again) return; // our own change
  const source = known && node.data === known.shown ? known.source : node.data;
  const element = node.parentElement;
  if (!element || element.closest(LEFT_ALONE)) return;
  const words = dictionary.translate(source);
  if (words === source && !known) return;
  texts.set(node, { source, shown: words });
  // An option without a value of its own is sent as what it shows.
  const option = element.closest("option");
  if (option && !option.hasAttribute("value")) option.setAttribute("value", source.trim());
  if (node.data !== words) node.data = words;
}

function translateAttribute(element, name, again = false) {
  const value = element.getAttribute(name);
  const known = attributes.get(element)?.[name];
  if (value === null || (name !== "placeholder" && IDENTIFIER.test(value)) || (known && value === known.shown && !again)) return;
  if (element.closest('[translate="no"]')) return;
  const source = known && value === known.shown ? known.source : value;
  const words = dictionary.translate(source);
  if (words === source && !known) return;
  attributes.set(element, { ...attributes.get(element), [name]: { source, shown: words } });
  if (value !== words) element.setAttribute(name, words);
}

function translateBelow(root, again = false) {
  if (root.nodeType === Node.TEXT_NODE) return translateText(root, again);
  if (root.nodeType !== Node.ELEMENT_NODE || root.closest('[translate="no"]')) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
    if (node.nodeType === Node.TEXT_NODE) return NodeFilter.FILTER_ACCEPT;
    return node.matches('[translate="no"]') ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT;
  });
  for (let node = root; node; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) translateText(node, again);
    else for (const name of ATTRIBUTES) if (node.hasAttribute(name)) translateAttribute(node, name, again);
  }
}

/** The text of an element in English, whatever it is shown in. */
export function sourceOf(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let text = "";
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const known = texts.get(node);
    text += known?.shown === node.data ? known.source : node.data;
  }
  return text;
}

document.documentElement.lang = dictionary.language;
translateBelow(document.documentElement);
new MutationObserver((changes) => {
  for (const { type, target, attributeName, addedNodes } of changes) {
    if (type === "characterData") translateText(target);
    else if (type === "attributes") translateAttribute(target, attributeName);
    else for (const node of addedNodes) translateBelow(node);
  }
}).observe(document.documentElement, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
