// Who is here: the button in the top bar, what opens under it, and what the page leaves out for users.

import { get, post } from "./api.js";
import { action, copy, make, one, say } from "./dom.js";
import { t } from "./words.js";

const WORDS = {
  queue: (n) => t("{n} jobs in the queue", { n }),
  size: (n) => t("pictures up to {n} pixels a side", { n }),
  steps: (n) => t("{n} steps", { n }),
  batch: (n) => t("batches of {n}", { n }),
  pictures: (n, { drawn }) => t("{n} pictures a day, {drawn} drawn today", { n, drawn }),
  training_steps: (n) => t("trainings of {n} steps", { n }),
};

/** Show who is asking; `data-role` on the root lets CSS hide what only the owner may do. */
export async function wirePeople(bar) {
  const me = await get("access").catch(() => null);
  if (!me) return;
  document.documentElement.dataset.role = me.role;
  const opener = action("who", bar);
  const menu = one("[data-who-menu]", bar);
  opener.hidden = me.role === "owner" && me.mode === "open";
  one("[data-who-name]", opener).translate = !me.name;
  say(one("[data-who-name]", opener), me.name || (me.role === "user" ? "Guest" : "Share"));
  opener.setAttribute("aria-label", me.name ? t("Logged in as {name}", me) : me.role === "user" ? "You are a guest" : "Let others in");
  wireLeaving(action("log-out", menu), me.session);
  opener.addEventListener("click", () => menu.togglePopover());
  menu.addEventListener("beforetoggle", (event) => event.newState === "open" && place(menu, opener));
  menu.addEventListener("toggle", async (event) => {
    opener.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open") showMe(menu, await get("access").catch(() => me));
  });
  if (me.shares) wireSharing(menu);
}

// Gradio keeps forms from being sent, so the server is told here.
function wireLeaving(button, session) {
  button.hidden = !session;
  button.addEventListener("click", async () => {
    await fetch("/logout", { method: "POST", redirect: "manual" }).catch(() => {});
    location.assign("/login");
  });
}

function place(menu, opener) {
  const { right, bottom } = opener.getBoundingClientRect();
  const width = Math.min(360, innerWidth - 16);
  menu.style.width = `${width}px`;
  menu.style.left = `${Math.max(8, Math.min(right - width, innerWidth - width - 8))}px`;
  menu.style.top = `${bottom + 8}px`;
  menu.style.maxHeight = `${innerHeight - bottom - 16}px`;
}

function showMe(menu, { name, role, limits }) {
  const owner = name ? t("{name}, owner of this machine", { name }) : "You are at the machine itself, so you are its owner.";
  const user = name ? t("Logged in as {name}", { name }) : "A guest, by the access link. This browser is a person of its own.";
  one("[data-who-line]", menu).textContent = role === "owner" ? owner : user;
  const lines = Object.entries(WORDS)
    .filter(([key]) => limits?.[key])
    .map(([key, words]) => make("li", { textContent: words(limits[key], limits) }));
  one("[data-who-limits]", menu).replaceChildren(...lines);
}

function wireSharing(menu) {
  const renew = action("new-link", menu);
  const state = one("[data-share-state]", menu);
  let sure = false;
  menu.addEventListener("toggle", async (event) => {
    if (event.newState !== "open") return;
    sure = false;
    renew.textContent = "Make a new link";
    say(state, "");
    const told = await get("access/share").catch((refused) => say(state, refused.message));
    if (told) showShare(menu, told);
  });
  renew.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      renew.textContent = "Yes: end the old link, everybody is out";
      return;
    }
    try {
      showShare(menu, await post("access/link"));
      renew.textContent = "Make a new link";
      say(state, "This is a new link; the old one opens nothing any more.");
    } catch (refused) {
      say(state, refused.message);
    }
    sure = false;
  });
}

const TITLES = { link: "The access link", accounts: "On other devices", open: "On other devices" };
const NOTES = {
  link: "Whoever has it comes in from other devices, as a guest. Give it to nobody else.",
  accounts: "They open this and log in. 'python webui.py user add NAME' makes accounts.",
  open: "Nobody is asked who they are.",
};

function showShare(menu, { mode, addresses, qr }) {
  const root = one("[data-share]", menu);
  root.hidden = false;
  one("[data-share-title]", root).textContent = TITLES[mode];
  const alone = "This server listens to this machine alone. Start it with --listen, and other devices get a link.";
  one("[data-share-note]", root).textContent = addresses.length ? NOTES[mode] : alone;
  action("new-link", root).hidden = mode !== "link" || !addresses.length;
  const code = one("[data-share-code]", root);
  code.hidden = !qr;
  if (qr) code.src = `data:image/svg+xml,${encodeURIComponent(qr)}`;
  one("[data-share-list]", root).replaceChildren(...addresses.map((address) => line(address, root)));
}

function line(address, root) {
  const field = make("input", { type: "text", className: "text", value: address, readOnly: true });
  field.setAttribute("aria-label", "Address for other devices");
  field.addEventListener("focus", () => field.select());
  const button = make("button", { type: "button", className: "second small", textContent: "Copy" });
  button.addEventListener("click", async () => {
    field.select();
    say(one("[data-share-state]", root), (await copy(address)) ? "Copied." : "Press Ctrl+C to copy it.");
  });
  return make("li", {}, field, button);
}
