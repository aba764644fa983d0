// Sentences of the page. They are English wherever a script handles them, so that nothing can depend on somebody's
// language; translate.js turns them into the person's language where they are shown.

const MOST = 4000;
const made = new Map(); // a filled sentence -> its template and values: what it was made of need not be guessed

/** The sentence `text` (English, a literal at the call) with `{name}` replaced by `values.name`. */
export function t(text, values = null) {
  if (!values) return text;
  const filled = text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  made.delete(filled);
  made.set(filled, [text, values]);
  if (made.size > MOST) made.delete(made.keys().next().value);
  return filled;
}

/** What `t` made a sentence of: [template, values]; undefined where it did not. */
export const madeOf = (sentence) => made.get(sentence);

/** A whole number as English groups its digits; where it is shown, the person's language groups them. */
export const number = (value) => Math.round(value).toLocaleString("en");

/** A date or time in the page's language. */
export const date = (when, options) => new Intl.DateTimeFormat(document.documentElement.lang || "en", options).format(when);
