// The Models tab: the list of all model files, page by page from the server, and what is asked of it.

import { get, post } from "./api.js";
import { picture } from "./cards.js";
import { size } from "./details.js";
import { action, later, make, one, say } from "./dom.js";
import { Adding } from "./models-add.js";
import { Bin } from "./models-bin.js";
import { OneModel } from "./models-one.js";
import { ModelTasks } from "./models-tasks.js";
import { names } from "./names.js";
import { VirtualGrid } from "./virtual.js";
import { number, t } from "./words.js";

const PAGE = 200;
const UNDO = 12000; // how long Undo is offered
const CELL = { width: 100000, height: matchMedia("(max-width: 760px)").matches ? 92 : 64, gap: 0 };

export class ModelsTab {
  #root;
  #grid;
  #one;
  #tasks;
  #bin;
  #known = new Map(); // place in the list -> file
  #coming = new Set(); // pages that are on their way
  #total = 0;
  #run = 0; // of what is asked: answers to an older question are not heard
  #kinds = {};
  #undo = null;
  #toastTimer = 0;

  /** `findPictures(words)` opens the gallery with that search; `use(file)` uses a model for the next picture. */
  constructor(root, findPictures, use) {
    this.#root = root;
    this.#grid = new VirtualGrid(one("[data-models-frame]", root), one("[data-models-room]", root), CELL, (file) => this.#row(file));
    this.#one = new OneModel(one("[data-model-details]", root), {
      findPictures,
      use,
      kind: (kind) => this.#kinds[kind] ?? kind,
      changed: () => this.#changed(),
      trash: (file) => this.#trash(file),
      work: () => this.#tasks.look(),
    });
    this.#tasks = new ModelTasks(one("[data-models-tasks]", root), () => this.#changed());
    this.#bin = new Bin(one("[data-models-bin]", root), () => this.#changed());
    const adding = new Adding(one("[data-models-adding]", root), this.#tasks);
    const on = (name, work) => action(name, root).addEventListener("click", (event) => work(event.currentTarget));
    on("models-add", () => adding.open());
    on("models-trash", () => this.#bin.open());
    on("models-hash", () => this.#hashAll());
    on("models-refresh", (button) => this.#refresh(button));
    on("models-broken", (button) => {
      button.setAttribute("aria-pressed", String(!this.#broken));
      this.load();
    });
    on("models-undo", () => this.#bringBack());
    this.#wireFilters();
    this.#wireKeys();
  }

  get #broken() {
    return action("models-broken", this.#root).getAttribute("aria-pressed") === "true";
  }

  #query() {
    const asked = new URLSearchParams({ limit: PAGE, order: one("[data-models-order]", this.#root).value });
    const search = one("[data-models-search]", this.#root).value.trim();
    const kind = one("[data-models-kind]", this.#root).value;
    if (search) asked.set("search", search);
    if (kind) asked.set("kind", kind);
    if (this.#broken) asked.set("broken", "true");
    return asked;
  }

  /** Ask for what the filters say; `keep`: it is the same, only newer, and one stays where one is. */
  async load(keep = false) {
    const run = ++this.#run;
    try {
      const answer = await get(`models?${this.#query()}`);
      if (run !== this.#run) return;
      this.#known.clear();
      this.#coming.clear();
      this.#total = answer.total;
      for (const { kind, label } of answer.kinds) this.#kinds[kind] = label;
      this.#take(0, answer.files);
      this.#grid.show(this.#items(), keep);
      this.#words(answer);
      this.#tasks.mayLook = answer.may_change;
      this.#tasks.look();
      say(one("[data-models-problem]", this.#root), "");
    } catch (refused) {
      say(one("[data-models-problem]", this.#root), refused.message);
    }
    this.#root.dataset.ready = "";
  }

  #take(offset, files) {
    files.forEach((file, index) => this.#known.set(offset + index, file));
  }

  #items() {
    return Array.from({ length: this.#total }, (_, index) => this.#known.get(index) ?? { index });
  }

  async #page(offset) {
    if (this.#coming.has(offset)) return;
    this.#coming.add(offset);
    const run = this.#run;
    const asked = this.#query();
    asked.set("offset", offset);
    const answer = await get(`models?${asked}`).catch(() => null);
    if (run !== this.#run) return;
    if (!answer) return this.#coming.delete(offset); // asked for again when it comes into sight again
    this.#take(offset, answer.files);
    this.#grid.show(this.#items(), true);
  }

  #words({ total, counts, unusable }) {
    const every = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const state = total === 1 && every === 1 ? t("1 file") : total === every ? t("{n} files", { n: number(total) }) : t("{n} of {all} files", { n: number(total), all: number(every) });
    one("[data-models-state]", this.#root).textContent = state;
    one("[data-count]", action("models-broken", this.#root)).textContent = unusable ? number(unusable) : "";
    for (const option of one("[data-models-kind]", this.#root).options) if (option.value) option.disabled = !counts[option.value];
    one("[data-models-frame]", this.#root).hidden = !total;
    const none = every ? "No model file answers to that." : "There is no model file yet.";
    say(one("[data-models-empty]", this.#root), total ? "" : none);
  }

  #row(file) {
    const row = make("button", { type: "button", className: "model-row" });
    if (!file.kind) {
      row.setAttribute("aria-busy", "true");
      row.setAttribute("aria-label", "Is being fetched");
      this.#page(Math.floor(file.index / PAGE) * PAGE);
      return row;
    }
    const part = (name, text, own = true) => make("span", { className: `model-${name}`, textContent: text || "", translate: !own });
    const title = make("span", { className: "model-name" }, part("file", file.file), part("folder", file.folder));
    const digits = file.hash ? part("hash", file.hash) : part("hash none", t("not hashed"), false);
    const words = file.problem ? part("problem", file.problem, false) : part("words", file.trigger);
    row.append(picture(file), title, part("kind", this.#kinds[file.kind], false), part("family", file.family), part("size", size(file.size)), digits, words);
    row.classList.toggle("unusable", Boolean(file.problem));
    row.addEventListener("click", () => this.#one.open(file));
    row.addEventListener("keydown", (event) => {
      if (event.key === "F2") this.#one.open(file, "rename");
      if (event.key === "Delete" && file.movable) this.#trash(file);
    });
    return row;
  }

  // --- the bar ---

  #wireFilters() {
    one("[data-models-search]", this.#root).addEventListener("input", later(() => this.load(), 150));
    for (const name of ["kind", "order"]) one(`[data-models-${name}]`, this.#root).addEventListener("change", () => this.load());
  }

  #wireKeys() {
    this.#root.addEventListener("keydown", (event) => {
      const inField = event.target.matches("input, select, textarea");
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "z" && (event.ctrlKey || event.metaKey) && this.#undo && !inField) this.#bringBack();
      else if (event.key === "/" && !inField) one("[data-models-search]", this.#root).focus();
      else if (event.key === "ArrowDown" && event.target.matches("[data-models-search]")) one(".model-row", this.#root)?.focus();
      else return;
      event.preventDefault();
    });
  }

  async #refresh(button) {
    button.setAttribute("aria-busy", "true");
    await this.#try(() => post("models/refresh"));
    await this.#changed();
    button.removeAttribute("aria-busy");
  }

  async #hashAll() {
    await this.#try(async () => {
      const { task } = await post("models/hash");
      if (!task) this.#toast("Every file is hashed already.");
      this.#tasks.look();
    });
  }

  // --- deleting, with a way back ---

  async #trash({ kind, path, file }) {
    await this.#try(async () => {
      const { id } = await post("models/trash", { kind, path });
      this.#undo = id;
      await this.#changed();
      this.#toast(t("{file} is in the trash.", { file }));
    });
  }

  async #bringBack() {
    const id = this.#undo;
    this.#undo = null;
    if (!id) return;
    await this.#try(async () => {
      const { file } = await post(`models/trash/${id}/restore`);
      await this.#changed();
      this.#toast(t("{file} is back.", { file }));
    });
  }

  #toast(sentence) {
    const toast = one("[data-models-toast]", this.#root);
    toast.hidden = false;
    one("[data-models-toast-words]", toast).textContent = sentence;
    action("models-undo", toast).hidden = !this.#undo;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => {
      toast.hidden = true;
    }, UNDO);
  }

  async #try(work) {
    const problem = one("[data-models-problem]", this.#root);
    say(problem, "");
    try {
      await work();
    } catch (refused) {
      say(problem, refused.message);
    }
  }

  // Other parts of the page have lists of the same files.
  async #changed() {
    await this.load(true);
    names.loadNetworks();
    dispatchEvent(new Event("webui-models-changed"));
  }
}
