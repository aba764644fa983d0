// Nothing typed is ever lost: each form is kept in this browser at once, and on the server a moment later.

import { get, post } from "./api.js";
import { later } from "./dom.js";

const key = (tab) => `webui-form-${tab}`;
const route = (tab) => `form?tab=${encodeURIComponent(tab)}`;

function local(tab) {
  try {
    return JSON.parse(localStorage.getItem(key(tab))) ?? { saved: 0, values: {} };
  } catch {
    return { saved: 0, values: {} };
  }
}

async function remote(tab) {
  try {
    const kept = await get(route(tab));
    return { saved: kept?.saved ?? 0, values: kept?.values ?? {} };
  } catch {
    return { saved: 0, values: {} };
  }
}

/** Fill the form `tab` with the newer of the two copies, then keep both up to date with what is chosen from now on.
 * `always` are fields that are kept even where they are at their default. */
export async function remember(form, tab, always = []) {
  // The server's copy is a convenience: when it cannot be written now, the browser's is there.
  const send = later((kept) => post(route(tab), kept).catch(() => {}), 600);
  const here = local(tab);
  form.fill(here.values, false);
  let edited = false;
  form.onChange((_names, chosen) => {
    if (!chosen) return;
    edited = true;
    const fixed = Object.fromEntries(always.map((name) => [name, form.get(name)]));
    const kept = { saved: Date.now(), values: { ...form.changes(), ...fixed } };
    localStorage.setItem(key(tab), JSON.stringify(kept));
    send(kept);
  });
  const there = await remote(tab);
  if (there.saved > here.saved && !edited) form.fill(there.values, false);
}
