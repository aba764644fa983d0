// The Gallery tab: what is shown, what is selected, and what is done with it.

import { address, get, post } from "./api.js";
import { action, all, later, one, say } from "./dom.js";
import { Folders } from "./gallery-folders.js";
import { Grid } from "./gallery-grid.js";
import { Pages } from "./gallery-pages.js";
import { Viewer } from "./gallery-viewer.js";
import { date, number, t } from "./words.js";

const LOOK = 4000; // milliseconds between looks for new pictures
const UNDO = 12000; // how long Undo is offered
const SURE = 5000; // how long a second press means yes
const SIZE = "webui-gallery-size";
const PHONE = "(max-width: 760px)";

export class Gallery {
  #root;
  #pages;
  #grid;
  #viewer;
  #folders;
  #days = []; // of all, where one is chosen
  #many = ""; // how many pictures, in words
  #trashed = []; // ids that Undo brings back
  #seen = ""; // the query that is shown
  #toastTimer = 0;
  #newest = null; // cursor of the newest picture when the server was asked last
  #trashDays = 0;
  #read = false; // a folder was being read then

  constructor(root) {
    this.#root = root;
    this.#pages = new Pages(() => this.#arrived());
    this.#grid = new Grid(one("[data-room]", root), this.#pages, {
      open: (index) => this.#viewer.open(index),
      selected: () => this.#showSelection(),
      scrolled: () => this.#showDay(),
      query: () => `&whose=${this.#whose}`,
    });
    this.#viewer = new Viewer(one("[data-viewer]", root), this.#pages, () => `&whose=${this.#whose}`, {
      favourite: (picture) => this.#favour([picture.id], !picture.favourite),
      trash: (picture) => this.#move("trash", [picture.id]),
      restore: (picture) => this.#move("restore", [picture.id]),
      closed: (index) => this.#grid.focus(index),
    });
    this.#folders = new Folders(one("[data-folders]", root), () => this.load(true));
    this.#wireFilters();
    this.#wireMany();
    this.#wireKeys();
    this.#wireSize();
    this.#watch();
  }

  // --- what is shown ---

  #filter(name) {
    return one(`[data-filter="${name}"]`, this.#root);
  }

  #switch(name) {
    return one(`[data-switch="${name}"]`, this.#root);
  }

  #isOn(name) {
    return this.#switch(name).getAttribute("aria-pressed") === "true";
  }

  get #whose() {
    return this.#filter("whose").value;
  }

  #query() {
    const asked = new URLSearchParams({ whose: this.#whose });
    const search = one("[data-search]", this.#root).value.trim();
    if (search) asked.set("search", search);
    for (const name of ["kind", "model", "day"]) if (this.#filter(name).value) asked.set(name, this.#filter(name).value);
    if (this.#isOn("favourites")) asked.set("favourite", "true");
    if (this.#isOn("bin")) asked.set("trash", "true");
    return asked.toString();
  }

  /** Ask for what the filters say; `keep`: it is the same, only newer, and one stays where one is. */
  async load(keep = false) {
    const query = this.#query();
    this.#root.setAttribute("aria-busy", "true");
    try {
      const [shown] = await Promise.all([this.#pages.open(query), this.#loadChoices()]);
      if (!shown) return;
      this.#problem("");
      if (!keep && query !== this.#seen) this.#grid.reset();
      this.#seen = query;
      action("gallery-fresh", this.#root).hidden = true;
      this.#fillDays();
      this.#grid.layout();
      this.#words();
      this.#showDay();
      await this.#viewer.refresh();
    } catch (error) {
      this.#problem(error.message);
    } finally {
      this.#root.removeAttribute("aria-busy");
    }
  }

  /** Show what answers to these words, whatever the filters said. */
  async find(words) {
    for (const select of all("[data-filter]", this.#root)) if (select.dataset.filter !== "whose") select.value = "";
    for (const button of all("[data-switch]", this.#root)) button.setAttribute("aria-pressed", "false");
    one("[data-search]", this.#root).value = words;
    await this.#asked();
  }

  #arrived() {
    this.#grid?.draw();
    if (this.#grid) this.#showDay();
  }

  async #loadChoices() {
    const choices = await get(`gallery/choices?whose=${this.#whose}`);
    fill(this.#filter("model"), "All models", choices.models.map(({ name, count }) => [name, t("{name} ({n})", { name, n: number(count) })]));
    const counts = Object.fromEntries(choices.kinds.map(({ name, count }) => [name, count]));
    for (const option of this.#filter("kind").options) {
      if (option.value) option.hidden = !counts[option.value] && option.value !== this.#filter("kind").value;
    }
    this.#filter("whose").closest(".field").hidden = !choices.others && this.#whose === "mine";
    action("gallery-folders", this.#root).hidden = !choices.folders;
    one("[data-count]", this.#switch("favourites")).textContent = choices.favourites ? number(choices.favourites) : "";
    one("[data-count]", this.#switch("bin")).textContent = choices.trash ? number(choices.trash) : "";
    this.#trashDays = choices.trash_days;
    this.#newest = choices.newest;
    this.#read ||= choices.reading; // what is shown is not all: there is more to ask for, even if nothing newer
  }

  #fillDays() {
    const select = this.#filter("day");
    if (!select.value) this.#days = this.#pages.days;
    fill(select, "All days", this.#days.map(({ day, count }) => [day, t("{when} ({n})", { when: dayWords(day), n: number(count) })]));
  }

  #words() {
    const { total } = this.#pages;
    const asked = this.#seen !== new URLSearchParams({ whose: this.#whose }).toString();
    const many = this.#isOn("bin") ? t("{n} pictures in the trash", { n: number(total) }) : count(total);
    this.#many = total ? many : "";
    one("[data-state]", this.#root).textContent = this.#many;
    const none = this.#isOn("bin")
      ? t("Nothing in the trash answers to that. What is deleted stays here for {n} days.", { n: this.#trashDays })
      : asked
        ? "No picture answers to that."
        : this.#filter("whose").closest(".field").hidden
          ? "No pictures of yours yet. What you draw is shown here."
          : "No pictures of yours yet. What you draw is shown here. “Everybody’s” shows those of other people and browsers.";
    say(one("[data-empty]", this.#root), total ? "" : none);
  }

  /** On which day the picture on top of the screen was made. */
  #showDay() {
    const picture = this.#pages.at(this.#grid.top);
    if (picture) one("[data-day]", this.#root).textContent = dayWords(picture.day);
    else if (!this.#pages.total) one("[data-day]", this.#root).textContent = "";
  }

  #problem(sentence) {
    say(one("[data-problem]", this.#root), sentence);
  }

  // --- the bar ---

  #wireFilters() {
    one("[data-search]", this.#root).addEventListener("input", later(() => this.#asked(), 200));
    for (const select of all("[data-filter]", this.#root)) select.addEventListener("change", () => this.#asked());
    for (const button of all("[data-switch]", this.#root)) {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(!this.#isOn(button.dataset.switch)));
        this.#asked();
      });
    }
    action("gallery-folders", this.#root).addEventListener("click", () => this.#folders.open());
    action("gallery-fresh", this.#root).addEventListener("click", async () => {
      await this.load();
      this.#grid.reset();
      this.#grid.layout();
    });
  }

  // Another question: what was selected may not be in sight any more.
  async #asked() {
    this.#grid.selectNone();
    await this.load();
  }

  #wireSize() {
    const range = one("[data-size]", this.#root);
    const usual = matchMedia(PHONE).matches ? 112 : 176;
    range.value = localStorage.getItem(SIZE) ?? usual;
    const use = () => {
      this.#grid.size = Number(range.value);
      this.#grid.layout();
    };
    range.addEventListener("input", () => {
      localStorage.setItem(SIZE, range.value);
      use();
    });
    use();
  }

  // New pictures come by themselves while one is at the top; further down nothing may jump.
  #watch() {
    const look = async () => {
      if (this.#grid.inSight && !document.hidden) await this.#lookForNew();
      setTimeout(look, LOOK);
    };
    setTimeout(look, LOOK);
    // Gradio shows a tab by taking its `hidden` away.
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.#lookForNew()).observe(this.#root);
  }

  async #lookForNew() {
    if (this.#newest === null || this.#viewer.isOpen) return;
    const state = await get(`gallery/state?whose=${this.#whose}`).catch(() => null);
    if (!state || this.#viewer.isOpen) return;
    const grew = state.newest !== this.#newest;
    if (grew && !this.#rests) action("gallery-fresh", this.#root).hidden = false;
    else if ((grew || state.reading || this.#read) && this.#rests) await this.load(true);
    if (state.reading) one("[data-state]", this.#root).textContent = `${this.#many} · ${t("reading {done} of {total} files", { done: number(state.reading.done), total: number(state.reading.total) })}`;
    this.#read = Boolean(state.reading);
  }

  /** Whether more pictures may come in without taking anything from under somebody's hand. */
  get #rests() {
    return this.#grid.top === 0 && !this.#grid.selected.size;
  }

  // --- several pictures ---

  #wireMany() {
    const on = (name, work) => action(name, this.#root).addEventListener("click", work);
    const ids = () => [...this.#grid.selected];
    on("many-none", () => this.#grid.selectNone());
    on("many-favourite", () => this.#favourSelected());
    on("many-zip", () => this.#download(ids()));
    on("many-trash", () => this.#move("trash", ids()));
    on("many-restore", () => this.#move("restore", ids()));
    on("many-delete", () => this.#deleteForGood(ids()));
    on("gallery-undo", () => this.#undo());
  }

  #showSelection() {
    const count = this.#grid.selected.size;
    const bin = this.#isOn("bin");
    one("[data-selection]", this.#root).hidden = !count;
    one("[data-selected]", this.#root).textContent = count ? t("{n} selected", { n: number(count) }) : "";
    for (const name of ["favourite", "trash"]) action(`many-${name}`, this.#root).hidden = bin;
    for (const name of ["restore", "delete"]) action(`many-${name}`, this.#root).hidden = !bin;
    this.#unsure();
  }

  #favourSelected() {
    const chosen = [...this.#pages.known()].filter(({ id }) => this.#grid.selected.has(id));
    return this.#favour([...this.#grid.selected], !chosen.every(({ favourite }) => favourite));
  }

  async #favour(ids, favourite) {
    await this.#try(async () => {
      await post("gallery/favourite", { ids, favourite, whose: this.#whose });
      for (const picture of this.#pages.known()) if (ids.includes(picture.id)) picture.favourite = favourite;
      this.#grid.mark();
      const n = number(ids.length);
      this.#toast(favourite ? t("{n} pictures marked as favourite.", { n }) : t("{n} pictures are no favourite any more.", { n }));
      if (this.#isOn("favourites")) await this.load(true);
      else await this.#loadChoices();
    });
  }

  async #download(ids) {
    await this.#try(async () => {
      const { url, pictures } = await post("gallery/zip", { ids, whose: this.#whose });
      location.assign(address(url)); // the browser saves it, the page stays
      this.#toast(t("{n} pictures in one zip.", { n: number(pictures) }));
    });
  }

  /** Into the trash, or out of it. */
  async #move(what, ids) {
    await this.#try(async () => {
      const place = this.#grid.current;
      const { done, refused } = await post(`gallery/${what}`, { ids, whose: this.#whose });
      this.#grid.select(ids, false);
      this.#trashed = what === "trash" ? done : [];
      await this.load(true);
      if (!this.#viewer.isOpen && this.#grid.inSight && this.#root.contains(document.activeElement)) this.#grid.focus(place);
      if (done.length) this.#toast(t(WENT[what], { n: number(done.length) }));
      const [first] = refused;
      const all = (n) => t("{n} pictures stay where they are: {sentence}", { n: number(n), sentence: first.sentence });
      if (first) this.#problem(refused.length === 1 ? first.sentence : all(refused.length));
    });
  }

  async #undo() {
    const ids = this.#trashed;
    if (!ids.length) return;
    this.#trashed = [];
    await this.#move("restore", ids);
  }

  // Asked for twice: there is no way back.
  #deleteForGood(ids) {
    const button = action("many-delete", this.#root);
    if (button.dataset.sure) return this.#move("delete", ids);
    button.dataset.sure = "1";
    one("span", button).textContent = t("Really delete {n}?", { n: number(ids.length) });
    setTimeout(() => this.#unsure(), SURE);
    return undefined;
  }

  #unsure() {
    const button = action("many-delete", this.#root);
    delete button.dataset.sure;
    one("span", button).textContent = "Delete for good";
  }

  async #try(work) {
    this.#problem("");
    try {
      await work();
    } catch (error) {
      this.#problem(error.message);
    }
  }

  #toast(sentence) {
    const toast = one("[data-toast]", this.#root);
    const host = this.#viewer.isOpen ? one("[data-viewer]", this.#root) : this.#root; // above the large picture too
    if (toast.parentElement !== host) host.append(toast);
    toast.hidden = false;
    one("[data-toast-words]", toast).textContent = sentence;
    action("gallery-undo", toast).hidden = !this.#trashed.length;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => {
      toast.hidden = true;
    }, UNDO);
  }

  // --- keys ---

  #wireKeys() {
    document.addEventListener("keydown", (event) => {
      if (!this.#grid.inSight || document.querySelector("dialog[open]")) return;
      const work = typing(event.target) ? this.#searchKey(event) : this.#key(event);
      if (!work) return;
      event.preventDefault();
      work();
    });
  }

  #searchKey({ key, target }) {
    if (target !== one("[data-search]", this.#root)) return null;
    if (key === "ArrowDown" || key === "Enter") return () => this.#grid.focus(0);
    if (key !== "Escape") return null;
    return () => {
      if (!target.value) return this.#grid.focus(this.#grid.current);
      target.value = "";
      return this.#asked();
    };
  }

  #key({ key, ctrlKey, metaKey, altKey, target }) {
    if (altKey) return null;
    if (ctrlKey || metaKey) return key === "z" && this.#trashed.length ? () => this.#undo() : null;
    // A key alone is for who is in the gallery: elsewhere a voice that is heard as letters must set off nothing.
    if (key === "/") return this.#root.contains(target) ? () => one("[data-search]", this.#root).focus() : null;
    if (key === "Escape" && this.#grid.selected.size) return () => this.#grid.selectNone();
    const ids = this.#meant();
    if (!ids.length) return null;
    if (key.toLowerCase() === "f") return () => (this.#grid.selected.size ? this.#favourSelected() : this.#favourCurrent());
    if (key === "Delete" && !this.#isOn("bin")) return () => this.#move("trash", ids);
    return null;
  }

  /** The selected pictures, else the one with the focus. */
  #meant() {
    if (this.#grid.selected.size) return [...this.#grid.selected];
    const id = document.activeElement?.dataset.id;
    return id && one("[data-room]", this.#root).contains(document.activeElement) ? [id] : [];
  }

  #favourCurrent() {
    const picture = this.#pages.at(this.#grid.current);
    return picture && this.#favour([picture.id], !picture.favourite);
  }
}

const typing = (target) => target.matches?.("input, textarea, select");
const count = (value) => t("{n} pictures", { n: number(value) });
const WENT = {
  trash: "{n} pictures moved to the trash.",
  restore: "{n} pictures restored.",
  delete: "{n} pictures deleted for good.",
};

function fill(select, first, options) {
  const before = select.value;
  const kept = before && !options.some(([value]) => value === before) ? [[before, before]] : [];
  // Names of models are people's, and days are in words already.
  const made = [...kept, ...options].map(([value, words]) => Object.assign(new Option(words, value), { translate: false }));
  select.replaceChildren(new Option(first, ""), ...made);
  select.value = before;
}

function dayWords(day) {
  const noon = new Date(`${day}T12:00:00`);
  const ago = Math.round((new Date().setHours(12, 0, 0, 0) - noon) / 86400000);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  return date(noon, { day: "numeric", month: "short", year: "numeric" });
}
