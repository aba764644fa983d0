// Nothing typed is ever lost: each form is kept in this browser at once, and on the server a moment later.

import { call, get } from "./api.js";
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

// The two copies are compared by what this browser saw of the server's last, not by clocks: another device's may be
// wrong. Only where both have been changed since do the times decide.
function isNewer(there, here) {
  if (!there.saved) return false;
  return here.saved === here.synced ? there.saved !== here.synced : there.saved > here.saved;
}

/** Fill the form `tab` with the newer of the two copies, then keep both up to date with what is chosen from now on.
 * `always` are fields that are kept even where they are at their default. */
export async function remember(form, tab, always = []) {
  const keep = (kept) => localStorage.setItem(key(tab), JSON.stringify(kept));
  const synced = ({ saved }) => {
    const now = local(tab);
    if (now.saved === saved) keep({ ...now, synced: saved });
  };
  let unsent = null;
  // The server's copy is a convenience: when it cannot be written now, the browser's is there.
  const send = (closing = false) => {
    const kept = unsent;
    unsent = null;
    if (kept) call("POST", route(tab), kept, closing).then(() => synced(kept), () => {});
  };
  const sendLater = later(send, 600);
  addEventListener("pagehide", () => send(true));
  let edited = false; // since the server was asked
  const takeNewer = async () => {
    const here = local(tab);
    edited = false;
    const there = await remote(tab);
    if (edited || unsent || !isNewer(there, here)) return;
    const gone = Object.keys(here.values).filter((name) => !(name in there.values) && form.names.includes(name));
    form.fill({ ...Object.fromEntries(gone.map((name) => [name, form.field(name).default])), ...there.values }, false);
    keep({ ...there, synced: there.saved });
  };
  form.fill(local(tab).values, false);
  form.onChange((_names, chosen) => {
    if (!chosen) return;
    edited = true;
    const fixed = Object.fromEntries(always.map((name) => [name, form.get(name)]));
    unsent = { saved: Date.now(), values: { ...form.changes(), ...fixed } };
    keep({ ...unsent, synced: local(tab).synced });
    sendLater();
  });
  // A phone that is taken up again shows what was typed at the desk meanwhile.
  document.addEventListener("visibilitychange", () => !document.hidden && takeNewer());
  await takeNewer();
}
