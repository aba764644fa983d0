// Deleted models: back to where they were, or gone for good.

import { call, get, post } from "./api.js";
import { size } from "./details.js";
import { action, make, one, say } from "./dom.js";
import { date, t } from "./words.js";

const SURE = 5000; // how long a second press means yes

export class Bin {
  #dialog;
  #changed;

  /** `changed()` is told when a file has come back. */
  constructor(dialog, changed) {
    this.#dialog = dialog;
    this.#changed = changed;
    action("models-bin-close", dialog).addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  async open() {
    this.#dialog.showModal();
    await this.#look();
  }

  async #look() {
    try {
      const { files, days } = await get("models/trash");
      one("[data-models-bin-words]", this.#dialog).textContent = files.length ? t("What is deleted stays here for {days} days, and takes room as long.", { days }) : "There is nothing in the trash.";
      one("[data-models-bin-list]", this.#dialog).replaceChildren(...files.map((file) => this.#item(file)));
      say(one("[data-models-bin-problem]", this.#dialog), "");
    } catch (refused) {
      say(one("[data-models-bin-problem]", this.#dialog), refused.message);
    }
  }

  #item({ id, path, size: bytes, since }) {
    const when = date(new Date(since * 1000), { dateStyle: "medium", timeStyle: "short" });
    const words = make("div", { className: "folder-words" }, make("b", { textContent: path, translate: false }), make("span", { textContent: `${size(bytes)} · ${when}`, translate: false }));
    const restore = make("button", { type: "button", className: "second small", textContent: "Restore" });
    restore.addEventListener("click", () => this.#do(() => post(`models/trash/${id}/restore`)));
    return make("li", {}, words, restore, this.#delete(id));
  }

  // Asked for twice: there is no way back.
  #delete(id) {
    const button = make("button", { type: "button", className: "stop small", textContent: "Delete for good" });
    button.addEventListener("click", () => {
      if (button.dataset.sure) return this.#do(() => call("DELETE", `models/trash/${id}`));
      button.dataset.sure = "1";
      button.textContent = "Really delete it?";
      setTimeout(() => {
        delete button.dataset.sure;
        button.textContent = "Delete for good";
      }, SURE);
    });
    return button;
  }

  async #do(work) {
    try {
      await work();
      this.#changed();
    } catch (refused) {
      say(one("[data-models-bin-problem]", this.#dialog), refused.message);
      return;
    }
    await this.#look();
    one("button", this.#dialog).focus();
  }
}
