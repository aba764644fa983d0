// Folders of other programs whose pictures the gallery shows in place: added, looked into again, taken out.

import { call, get, post } from "./api.js";
import { action, make, one, say } from "./dom.js";
import { number, t } from "./words.js";

const AGAIN = 800; // milliseconds between looks at how far the reading is

export class Folders {
  #dialog;
  #changed;
  #timer = 0;

  /** `changed()` is called when the gallery's pictures are others. */
  constructor(dialog, changed) {
    this.#dialog = dialog;
    this.#changed = changed;
    action("folders-close", dialog).addEventListener("click", () => dialog.close());
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => {
      clearTimeout(this.#timer);
      changed();
    });
    one("[data-folder-add]", dialog).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(one("#gallery-folder", dialog));
    });
  }

  async open() {
    this.#say("");
    this.#dialog.showModal();
    await this.#look();
  }

  #say(sentence) {
    say(one("[data-folder-problem]", this.#dialog), sentence);
  }

  async #add(input) {
    await this.#try(() => post("gallery/folders", { path: input.value }), () => (input.value = ""));
  }

  async #try(work, after = () => {}) {
    this.#say("");
    try {
      await work();
      after();
    } catch (error) {
      this.#say(error.message);
    }
    await this.#look();
  }

  async #look() {
    clearTimeout(this.#timer);
    const folders = await get("gallery/folders").catch((error) => this.#say(error.message));
    if (!folders || !this.#dialog.open) return;
    this.#draw(folders);
    const busy = folders.some(({ state }) => state === "waiting" || state === "reading");
    if (busy) this.#timer = setTimeout(() => this.#look(), AGAIN);
  }

  #draw(folders) {
    const list = one("[data-folder-list]", this.#dialog);
    const focused = document.activeElement?.dataset.key;
    const none = make("li", { className: "hint", textContent: "None yet." });
    list.replaceChildren(...(folders.length ? folders.map((folder) => this.#row(folder)) : [none]));
    if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  #row({ number: at, path, pictures, state, done, total, sentence }) {
    const reading = state === "reading" || state === "waiting";
    const said = sentence || (reading && total ? t("{done} of {total} files read", { done: number(done), total: number(total) }) : t("{n} pictures", { n: number(pictures) }));
    const words = make("div", { className: "folder-words" }, make("b", { translate: false, textContent: path }), make("span", { textContent: said }));
    if (sentence) words.classList.add("wrong");
    if (reading) words.append(make("progress", { max: total || 1, value: total ? done : 0, ariaLabel: t("Reading {path}", { path }) }));
    return make(
      "li",
      {},
      words,
      this.#button(`scan-${at}`, "Look again", reading, () => this.#try(() => post(`gallery/folders/${at}/scan`))),
      this.#button(`out-${at}`, "Take out", false, () => this.#try(() => call("DELETE", `gallery/folders/${at}`), this.#changed)),
    );
  }

  #button(key, textContent, disabled, work) {
    const button = make("button", { type: "button", className: "second small", textContent, disabled });
    button.dataset.key = key;
    button.addEventListener("click", work);
    return button;
  }
}
