// One picture, large: its text, what can be done with it, and its neighbours by arrow or swipe.

import { address, get } from "./api.js";
import { action, copy, flash, make, one, say } from "./dom.js";
import { thumbnail, words } from "./gallery-grid.js";
import { showInfotext } from "./infotext.js";
import { wireSends } from "./send.js";
import { shown } from "./translate.js";
import { date, number, t } from "./words.js";

const FAR = 56; // pixels of a swipe
const STEADY = 12; // before it is known in which direction a finger moves
const ABOUT = "webui-gallery-about";
const WIDE = "(min-width: 761px)";

export class Viewer {
  #dialog;
  #pages;
  #does; // {favourite, trash, restore}: (picture) => promise; closed(index)
  #query;
  #index = 0;
  #picture = null;
  #details = null;

  /** `query()` gives what is added to a picture's address (whose it is). */
  constructor(dialog, pages, query, does) {
    this.#dialog = dialog;
    this.#pages = pages;
    this.#query = query;
    this.#does = does;
    const on = (name, work) => action(name, dialog).addEventListener("click", work);
    on("one-before", () => this.step(-1));
    on("one-after", () => this.step(1));
    on("one-close", () => dialog.close());
    on("one-favourite", () => this.#mark());
    on("one-trash", () => this.#away("trash"));
    on("one-restore", () => this.#away("restore"));
    on("one-about", () => this.#about(this.#dialog.dataset.about !== "shown"));
    this.#wireCopies();
    dialog.addEventListener("keydown", (event) => this.#keys(event));
    dialog.addEventListener("close", () => {
      this.#image.removeAttribute("src");
      this.#does.closed(this.#index);
    });
    this.#about(localStorage.getItem(ABOUT) !== "hidden" && matchMedia(WIDE).matches);
    this.#wireSwipe(one("[data-one-stage]", dialog));
    wireSends(dialog, () => this.#parcel(), (error) => this.#say(error.message));
  }

  get #image() {
    return one("[data-one-picture]", this.#dialog);
  }

  get isOpen() {
    return this.#dialog.open;
  }

  async open(index) {
    const picture = await this.#pages.wait(index);
    if (!picture) return this.#dialog.open && this.#dialog.close();
    this.#index = index;
    this.#picture = picture;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#draw();
    this.#load(picture);
    return undefined;
  }

  async step(by) {
    const next = this.#index + by;
    if (next >= 0 && next < this.#pages.total) await this.open(next);
  }

  /** The pictures are others now: show the one that has come to this place. */
  async refresh() {
    if (!this.isOpen) return;
    if (!this.#pages.total) return this.#dialog.close();
    const kept = this.#pages.placeOf(this.#picture.id);
    await this.open(kept >= 0 ? kept : Math.min(this.#index, this.#pages.total - 1));
  }

  /** Address of the picture's file, by which it may be kept for ever. */
  #file({ id, version }) {
    return address(`gallery/pictures/${id}/file?v=${version}${this.#query()}`);
  }

  #draw() {
    const picture = this.#picture;
    const { file, width, height, favourite, removable, trashed } = picture;
    this.#say("");
    const count = t("{index} of {total}", { index: number(this.#index + 1), total: number(this.#pages.total) });
    one("[data-one-name]", this.#dialog).replaceChildren(count, " · ", make("span", { translate: false, textContent: file }));
    const image = this.#image;
    image.translate = false;
    image.alt = shown(words(picture));
    image.style.setProperty("--w", width);
    image.style.setProperty("--h", height);
    image.style.backgroundImage = `url("${thumbnail(picture, 256)}${this.#query()}")`;
    image.src = this.#file(picture);
    const save = action("one-save", this.#dialog);
    save.href = `${this.#file(picture)}&download=1`;
    save.download = file;
    action("one-favourite", this.#dialog).setAttribute("aria-pressed", String(favourite));
    action("one-trash", this.#dialog).hidden = !removable || trashed !== null;
    action("one-restore", this.#dialog).hidden = trashed === null;
    action("one-before", this.#dialog).disabled = this.#index === 0;
    action("one-after", this.#dialog).disabled = this.#index === this.#pages.total - 1;
  }

  // The text, and the neighbours, which will be asked for next.
  async #load(picture) {
    this.#details = null;
    const details = await get(`gallery/pictures/${picture.id}?${this.#query().slice(1)}`).catch((error) => {
      if (this.#picture === picture) this.#say(error.message);
      return null;
    });
    if (this.#picture !== picture || !details) return;
    this.#details = details;
    const text = one("[data-infotext]", this.#dialog);
    if (details.text) showInfotext(text, details.text);
    else text.textContent = "This picture carries no parameters.";
    one("[data-one-facts]", this.#dialog).textContent = facts(details);
    action("copy-prompt", this.#dialog).disabled = !details.prompt;
    action("copy-seed", this.#dialog).disabled = !details.seed;
    action("copy-text", this.#dialog).disabled = !details.text;
    for (const near of [this.#index + 1, this.#index - 1]) {
      const neighbour = this.#pages.at(near);
      if (neighbour) new Image().src = this.#file(neighbour);
    }
  }

  #say(sentence) {
    say(one("[data-one-problem]", this.#dialog), sentence);
    if (sentence) this.#about(true, false);
  }

  #about(shown, kept = true) {
    this.#dialog.dataset.about = shown ? "shown" : "hidden";
    action("one-about", this.#dialog).setAttribute("aria-pressed", String(shown));
    if (kept && matchMedia(WIDE).matches) localStorage.setItem(ABOUT, this.#dialog.dataset.about);
  }

  async #parcel() {
    const response = await fetch(this.#file(this.#picture), { credentials: "same-origin" });
    if (!response.ok) throw new Error("The picture is not there any more.");
    const blob = await response.blob();
    this.#dialog.close();
    return { blob };
  }

  #wireCopies() {
    for (const [name, what] of [["prompt", "prompt"], ["seed", "seed"], ["text", "text"]]) {
      action(`copy-${name}`, this.#dialog).addEventListener("click", async (event) => {
        const button = event.currentTarget;
        flash(button, (await copy(this.#details?.[what] ?? "")) ? "Copied" : "Not allowed");
      });
    }
  }

  async #mark() {
    await this.#does.favourite(this.#picture);
    if (this.isOpen) this.#draw();
  }

  async #away(what) {
    await this.#does[what](this.#picture);
  }

  #keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { removable, trashed } = this.#picture;
    const work = {
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      Home: () => this.open(0),
      End: () => this.open(this.#pages.total - 1),
      f: () => this.#mark(),
      i: () => this.#about(this.#dialog.dataset.about !== "shown"),
      Delete: removable && trashed === null ? () => this.#away("trash") : null,
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    event.stopPropagation(); // the page's own keys rest
    if (!work) return;
    event.preventDefault();
    work();
  }

  // A finger moves the picture: sideways to its neighbour, downwards away. Two fingers are the browser's own zoom.
  #wireSwipe(stage) {
    let from = null;
    let along = "";
    const rest = () => {
      from = null;
      along = "";
      this.#image.style.translate = "";
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch" || !event.isPrimary || event.target.closest("button")) return rest();
      from = event;
      return undefined;
    });
    stage.addEventListener("pointermove", (event) => {
      if (!from || !event.isPrimary || visualViewport?.scale > 1.05) return;
      const [x, y] = [event.clientX - from.clientX, event.clientY - from.clientY];
      along ||= Math.hypot(x, y) < STEADY ? "" : Math.abs(x) > Math.abs(y) ? "x" : "y";
      this.#image.style.translate = along === "x" ? `${x}px 0` : along === "y" ? `0 ${Math.max(0, y)}px` : "";
    });
    stage.addEventListener("pointerup", (event) => {
      if (!from) return;
      const [x, y] = [event.clientX - from.clientX, event.clientY - from.clientY];
      const went = along;
      rest();
      if (went === "x" && Math.abs(x) > FAR) this.step(x < 0 ? 1 : -1);
      else if (went === "y" && y > 2 * FAR) this.#dialog.close();
    });
    stage.addEventListener("pointercancel", rest);
  }
}

function facts({ made, width, height, bytes, kind }) {
  const when = date(new Date(made * 1000), { dateStyle: "medium", timeStyle: "short" });
  const size = bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
  return [when, `${width} × ${height}`, size, kind].join(" · ");
}
