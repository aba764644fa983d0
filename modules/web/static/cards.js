// The cards panel: all files that a prompt can name, and checkpoints, with pictures, search and folders. A click puts
// a file's tag into the prompt (or takes it out); a checkpoint's selects it.

import { action, all, later, make, one, say } from "./dom.js";
import { Details } from "./details.js";
import { KINDS, names } from "./names.js";
import { findTag, toggleTag, toggleWords } from "./tags.js";
import { promptBox } from "./textbox.js";
import { VirtualGrid } from "./virtual.js";
import { number, t } from "./words.js";

const CELL = { width: 128, height: 184, gap: 12 };
const HIDDEN_FOLDER = /(^|\/)\.[^/]/;
const HIDDEN_SHOWN_FROM = 4; // letters of a search that reach into hidden folders
const REMEMBERED = "webui-cards";

export class Cards {
  #panel;
  #grid;
  #details;
  #kind;
  #opener = null;
  #prompt = null; // the prompt box that had the focus last

  constructor(panel) {
    this.#panel = panel;
    this.#kind = localStorage.getItem(REMEMBERED) ?? "lora";
    this.#details = new Details(one("[data-details]", panel.parentElement), this);
    this.#grid = new VirtualGrid(one("[data-cards]", panel), one("[data-cards-room]", panel), CELL, (entry) => this.#card(entry));
    this.#wire();
    names.onChange(() => this.#open && this.#listed(true));
  }

  get #open() {
    return !this.#panel.hidden;
  }

  #wire() {
    const panel = this.#panel;
    for (const tab of all("[role=tab]", panel)) tab.addEventListener("click", () => this.show(tab.dataset.kind));
    one("[role=tablist]", panel).addEventListener("keydown", (event) => this.#tabKeys(event));
    one("[data-cards-search]", panel).addEventListener("input", later(() => this.#list(), 80));
    one("[data-cards-folder]", panel).addEventListener("change", () => this.#list());
    one("[data-cards-order]", panel).addEventListener("change", () => this.#list());
    action("close-cards", panel).addEventListener("click", () => this.close());
    action("refresh-cards", panel).addEventListener("click", (event) => this.#refresh(event.currentTarget));
    panel.addEventListener("keydown", (event) => this.#escape(event));
    document.addEventListener("focusin", ({ target }) => {
      if (target.matches?.(".field.prompt textarea")) this.#prompt = target;
    });
    document.addEventListener("input", ({ target }) => target.matches?.(".field.prompt textarea") && this.#mark());
  }

  /** Open for the tab of `opener` (its Networks button), or close. */
  toggle(opener) {
    if (this.#open) return this.close();
    this.#opener = opener;
    this.#panel.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    this.show(this.#kind);
    one("[data-cards-search]", this.#panel).focus();
  }

  /** `back`: the focus goes to the button it was opened with. */
  close(back = true) {
    if (!this.#open) return;
    this.#panel.hidden = true;
    this.#opener.setAttribute("aria-expanded", "false");
    if (back) this.#opener.focus();
  }

  /** The files of a kind. */
  show(kind) {
    this.#kind = kind in KINDS ? kind : "lora";
    localStorage.setItem(REMEMBERED, this.#kind);
    this.#listed(false);
  }

  #listed(keep) {
    say(one("[data-cards-problem]", this.#panel), names.problem);
    for (const tab of all("[role=tab]", this.#panel)) {
      const selected = tab.dataset.kind === this.#kind;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      one("[data-count]", tab).textContent = names.of(tab.dataset.kind).length || "";
    }
    this.#folders(keep);
    this.#list(keep);
  }

  #folders(keep) {
    const select = one("[data-cards-folder]", this.#panel);
    const before = keep ? select.value : "";
    const found = new Set();
    for (const { folder } of names.of(this.#kind)) {
      if (HIDDEN_FOLDER.test(folder)) continue;
      const parts = folder.split("/").filter(Boolean);
      parts.forEach((_, depth) => found.add(parts.slice(0, depth + 1).join("/")));
    }
    const options = [...found].sort().map((folder) => {
      const depth = folder.split("/").length - 1;
      return Object.assign(new Option("\u00a0".repeat(4 * depth) + folder.split("/").pop(), folder), { translate: false });
    });
    select.replaceChildren(new Option("All folders", ""), ...options);
    select.value = found.has(before) ? before : "";
    select.closest(".field").hidden = !found.size;
  }

  #list(keep = false) {
    const search = one("[data-cards-search]", this.#panel).value.trim().toLowerCase();
    const folder = one("[data-cards-folder]", this.#panel).value;
    const words = search.split(/\s+/).filter(Boolean);
    const found = names.of(this.#kind).filter((entry) => {
      if (HIDDEN_FOLDER.test(entry.folder) && search.length < HIDDEN_SHOWN_FROM) return false;
      if (folder && entry.folder !== folder && !entry.folder.startsWith(`${folder}/`)) return false;
      return words.every((word) => haystack(entry).includes(word));
    });
    found.sort(ORDERS[one("[data-cards-order]", this.#panel).value]);
    this.#grid.show(found, keep);
    this.#words(found.length, search || folder);
    this.#mark();
  }

  #words(count, asked) {
    const none = asked ? "Nothing here answers to that." : t("There are no files here yet: put some into {folder}, then press refresh.", { folder: FOLDERS[this.#kind] });
    say(one("[data-cards-empty]", this.#panel), count || names.problem ? "" : none);
    one("[data-cards]", this.#panel).hidden = !count;
    const use = this.#kind === "checkpoint" ? "A click selects one." : "A click puts one into the prompt, another takes it out.";
    say(one("[data-cards-state]", this.#panel), count ? `${t("{n} files.", { n: number(count) })} ${use}` : "");
  }

  #card(entry) {
    const shown = entry.title || entry.name;
    const card = make("button", { type: "button", className: "card", title: entry.problem ?? cardTitle(entry) });
    card.append(picture(entry), make("span", { className: "card-name", translate: false, textContent: shown }));
    card.classList.toggle("unusable", Boolean(entry.problem));
    card.addEventListener("click", () => this.use(entry));
    const pressed = this.#inUse(entry);
    card.setAttribute("aria-pressed", String(pressed));
    const more = make("button", { type: "button", className: "card-more", title: `About ${shown}`, textContent: "i", tabIndex: -1 });
    more.setAttribute("aria-label", `About ${shown}`);
    more.addEventListener("click", () => this.#details.open(entry));
    card.addEventListener("keydown", (event) => {
      if (event.key === "i" || event.key === "F2") this.#details.open(entry);
    });
    const both = document.createDocumentFragment();
    both.append(card, more);
    card.entry = entry;
    return both;
  }

  /** Put a file into the prompt or take it out; select a checkpoint. */
  use(entry) {
    if (entry.problem) return this.#details.open(entry);
    if (entry.kind === "checkpoint") selectCheckpoint(entry);
    else this.#write(entry);
    this.#mark();
  }

  // Typing needs the focus for a moment; then it is back on the card.
  #write(entry) {
    const [card, prompt] = [document.activeElement, this.#prompt];
    const on = toggleTag(this.#target(entry), entry);
    if (entry.negative) toggleWords(this.#boxes()[1], entry.negative, on);
    this.#prompt = prompt;
    card.focus({ preventScroll: true });
  }

  #inUse(entry) {
    if (entry.kind === "checkpoint") return checkpointField()?.value === entry.path;
    return this.#boxes().some((box) => findTag(box.value, entry));
  }

  // Tags act in the prompt alone; an embedding may as well be for the negative one, if that had the focus.
  #target({ kind }) {
    const boxes = this.#boxes();
    if (kind === "embedding" && boxes.includes(this.#prompt)) return this.#prompt;
    return boxes[0];
  }

  /** The prompt boxes of the tab in sight. */
  #boxes() {
    const form = this.#opener.closest("form");
    return [promptBox("prompt", form), promptBox("negative_prompt", form)];
  }

  /** Show on the cards which are in the prompt. */
  #mark() {
    if (!this.#open) return;
    for (const card of all(".card", this.#panel)) card.setAttribute("aria-pressed", String(Boolean(this.#inUse(card.entry))));
  }

  /** Add words (a trigger word) to the prompt of the tab in sight. */
  addWords(words) {
    toggleWords(this.#boxes()[0], words, true);
  }

  #escape(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    this.close();
  }

  #tabKeys(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const kinds = Object.keys(KINDS);
    const next = kinds[(kinds.indexOf(this.#kind) + step + kinds.length) % kinds.length];
    this.show(next);
    one(`[role=tab][data-kind="${next}"]`, this.#panel).focus();
  }

  async #refresh(button) {
    button.setAttribute("aria-busy", "true");
    await names.loadNetworks(true);
    button.removeAttribute("aria-busy");
  }
}

const FOLDERS = {
  embedding: "embeddings",
  lora: "models/Lora",
  hypernet: "models/hypernetworks",
  checkpoint: "models/Stable-diffusion",
};

const byName = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true, sensitivity: "base" });
const ORDERS = {
  name: byName,
  path: (a, b) => a.folder.localeCompare(b.folder) || byName(a, b),
  newest: (a, b) => b.mtime - a.mtime || byName(a, b),
  oldest: (a, b) => a.mtime - b.mtime || byName(a, b),
};

function haystack(entry) {
  entry.words ??= [entry.name, entry.alias, entry.title, entry.path, entry.description, entry.trigger, entry.hash]
    .filter(Boolean)
    .join("\n")
    .toLowerCase();
  return entry.words;
}

function cardTitle({ name, description, trigger }) {
  return [name, trigger && t("Trigger words: {tag}", { tag: trigger }), description?.slice(0, 300)].filter(Boolean).join("\n");
}

/** The preview picture, or the first letters where there is none. */
export function picture(entry) {
  const frame = make("span", { className: "card-picture" });
  const letters = () => make("span", { className: "card-letters", translate: false, textContent: entry.name.slice(0, 2) });
  if (!entry.preview) {
    frame.append(letters());
    return frame;
  }
  const image = make("img", { alt: "", loading: "lazy", decoding: "async", src: entry.preview });
  image.addEventListener("error", () => image.replaceWith(letters()));
  frame.append(image);
  return frame;
}

const checkpointField = () => one('[data-panel="topbar"] [data-knob="checkpoint"] select');

export function selectCheckpoint({ path }) {
  const field = checkpointField();
  field.value = path;
  for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
}
