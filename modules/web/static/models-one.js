// One model file: all about it in the same dialog as on its card, and what is done with the file itself.

import { get, post } from "./api.js";
import { Details } from "./details.js";
import { make, one, say } from "./dom.js";
import { number, t } from "./words.js";

const USED = { checkpoint: "Select it", lora: "Put into the prompt", embedding: "Put into the prompt", hypernet: "Put into the prompt" };

export class OneModel {
  #dialog;
  #details;
  #does;

  /** `does`: findPictures(words), use(file), kind(name), changed(), trash(file), work(). */
  constructor(dialog, does) {
    this.#dialog = dialog;
    this.#does = does;
    this.#details = new Details(dialog, {
      use: (file) => does.use(file),
      addWords: (words) => does.use(null, words),
      actions: (file) => this.#actions(file),
      kind: (file) => does.kind(file.kind),
    });
  }

  /** Show it; `then` "rename" goes straight to its name. */
  open(file, then = "") {
    this.#details.open(file);
    if (then === "rename" && file.movable) one("[data-rename]", this.#dialog)?.focus();
  }

  #actions(file) {
    const state = make("p", { className: "hint" });
    state.setAttribute("role", "status");
    const ask = async (work) => {
      try {
        await work();
      } catch (refused) {
        state.textContent = refused.message;
      }
    };
    const uses = make("div", { className: "model-uses" });
    this.#uses(file, uses);
    const parts = [this.#use(file), uses, make("div", { className: "model-own owner-only" }, this.#rename(file, ask), this.#buttons(file, ask)), state];
    return parts.filter(Boolean);
  }

  #use(file) {
    if (!USED[file.kind]) return null;
    const use = make("button", { type: "button", className: "primary small", textContent: USED[file.kind], disabled: Boolean(file.problem) });
    use.addEventListener("click", () => {
      this.#dialog.close();
      this.#does.use(file);
    });
    return use;
  }

  // Pictures by the file's hash are this file's; by its name they may be of another one that had that name.
  async #uses(file, place) {
    const where = new URLSearchParams({ kind: file.kind, path: file.path });
    const found = (await get(`models/pictures?${where}`).catch(() => [])).filter(({ count }) => count);
    const shown = found.filter((uses, index) => !index || uses.count !== found[0].count);
    place.replaceChildren(...shown.map((uses) => this.#usesButton(uses)));
    if (!found.length) place.append(make("p", { className: "hint", textContent: "No picture of yours was made with it." }));
  }

  #usesButton({ by, search, count }) {
    const n = number(count);
    const words = by === "hash" ? t("Pictures made with it ({n})", { n }) : t("Pictures that name it ({n})", { n });
    const button = make("button", { type: "button", className: "second small", textContent: words });
    button.addEventListener("click", () => {
      this.#dialog.close();
      this.#does.findPictures(search);
    });
    return button;
  }

  #rename(file, ask) {
    const input = make("input", { type: "text", id: "model-rename", value: file.file.replace(/\.[^.]+$/, ""), autocomplete: "off", spellcheck: false, readOnly: !file.movable });
    input.dataset.rename = "";
    const button = make("button", { type: "submit", className: "second small", textContent: "Rename", disabled: !file.movable });
    const form = make("form", { className: "field" }, make("label", { htmlFor: "model-rename", textContent: "File name" }), make("div", { className: "control" }, input, button));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(async () => {
        const renamed = await post("models/rename", { kind: file.kind, path: file.path, name: input.value });
        await this.#does.changed();
        this.open(renamed);
      });
    });
    return form;
  }

  #buttons(file, ask) {
    const hash = make("button", { type: "button", className: "second small", textContent: "Compute its hash", hidden: Boolean(file.sha256) });
    hash.addEventListener("click", () => ask(async () => {
      hash.disabled = true;
      await post("models/hash", { files: [{ kind: file.kind, path: file.path }] });
      this.#dialog.close();
      this.#does.work();
    }));
    const trash = make("button", { type: "button", className: "stop small", textContent: "Delete", disabled: !file.movable });
    trash.addEventListener("click", () => {
      this.#dialog.close();
      this.#does.trash(file);
    });
    const why = make("p", { className: "hint" });
    say(why, file.movable ? "" : "It belongs to a training run or a folder of its own, and is kept there.");
    return make("div", { className: "model-buttons" }, hash, trash, why);
  }
}
