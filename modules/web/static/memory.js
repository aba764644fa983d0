// Nothing typed is ever lost: the form is kept in this browser at once, and on the server a moment later.

import { get, post } from "./api.js";
import { later } from "./dom.js";

const KEY = "webui-form-txt2img";

function local() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? { saved: 0, values: {} };
  } catch {
    return { saved: 0, values: {} };
  }
}

async function remote() {
  try {
    const kept = await get("form");
    return { saved: kept?.saved ?? 0, values: kept?.values ?? {} };
  } catch {
    return { saved: 0, values: {} };
  }
}

// The server's copy is a convenience: when it cannot be written now, the browser's is there.
const send = later((kept) => post("form", kept).catch(() => {}), 600);

/** Fill the form with the newer of the two copies, then keep both up to date with what is chosen from now on. */
export async function remember(form) {
  const here = local();
  form.fill(here.values, false);
  let edited = false;
  form.onChange((_names, chosen) => {
    if (!chosen) return;
    edited = true;
    // The checkpoint is kept even when it is the selected one: another person may select another.
    const kept = { saved: Date.now(), values: { ...form.changes(), checkpoint: form.get("checkpoint") } };
    localStorage.setItem(KEY, JSON.stringify(kept));
    send(kept);
  });
  const there = await remote();
  if (there.saved > here.saved && !edited) form.fill(there.values, false);
}
