// The output panel: which picture is shown, its thumbnails, its text, and the buttons under it.

import { action, all, copy, flash, make, one, say } from "./dom.js";
import { address, pictureAddress, post } from "./api.js";
import { Cells } from "./cells.js";
import { showInfotext } from "./infotext.js";
import { t } from "./words.js";

export class Output {
  #panel;
  #job = null;
  #first = 0; // place of the running job's first picture, after those of the jobs before it
  #images = new Map(); // place -> ImageSaved and its job
  #shown = null; // place of the picture in sight; null: the live preview, or nothing
  #pinned = false; // the user chose a picture: the preview must not take its place
  #preview = "";
  #several = false;
  #cells; // the grid of a script, while there is one

  constructor(panel) {
    this.#panel = panel;
    this.#cells = new Cells(one("[data-stage]", panel), (number) => this.#choose(this.#first + number));
    this.#wireCells();
    one("[data-thumbs]", panel).addEventListener("keydown", (event) => this.#keys(event));
    action("zoom", panel).addEventListener("click", () => this.#zoom());
    action("copy", panel).addEventListener("click", (event) => this.#copy(event.currentTarget));
    action("folder", panel).addEventListener("click", () => this.#openFolder());
  }

  /** The picture in sight, or null. */
  get current() {
    return this.#images.get(this.#shown) ?? null;
  }

  /** Address of the picture in sight. */
  get source() {
    return this.current && this.#address(this.current);
  }

  /** Begin a job; its request tells the size that its pictures will have. The last picture stays in sight until there
   * is something newer. `more`: this job is one of several, whose pictures are shown together. */
  begin(jobId, request, more = false) {
    const { width, height, batch_count, batch_size } = request.base ?? request;
    const count = request.images ?? batch_count * batch_size;
    this.#job = jobId;
    this.#panel.dataset.begun = "";
    this.#several = more || count > 1;
    if (!more) this.#images.clear();
    if (!more) this.#pinned = false;
    this.#first = Math.max(-1, ...this.#images.keys()) + 1;
    this.#preview = "";
    this.#stageSize(width, height);
    this.#cells.begin(jobId, request);
    this.#drawThumbs();
  }

  addPreview(dataUri) {
    this.#preview = dataUri;
    this.#cells.preview(dataUri);
    if (this.#cells.there) this.#drawThumbs();
    else if (!this.#pinned) this.#showPreview();
    else this.#drawThumbs();
  }

  addImage(saved) {
    const place = this.#first + saved.index;
    const known = this.#images.has(place);
    this.#images.set(place, { ...saved, job: this.#job });
    if (!saved.sheet) this.#cells.add(saved.index, this.#address(this.#images.get(place)));
    if (!known && !this.#pinned && (saved.sheet || !this.#cells.there)) this.show(place);
    else this.#drawThumbs();
  }

  /** The job has ended: no more preview. */
  end() {
    this.#preview = "";
    if (!this.current && this.#cells.there) return this.#drawThumbs();
    if (!this.current && this.#images.size) this.show(Math.max(...this.#images.keys()));
    else if (!this.current) this.clear();
    this.#drawThumbs();
  }

  /** Nothing to show: the words of the empty stage. */
  clear() {
    this.#shown = null;
    one("[data-stage]", this.#panel).dataset.state = "empty";
    action("zoom", this.#panel).hidden = true;
    one("[data-facts]", this.#panel).hidden = true;
  }

  show(index) {
    const image = this.#images.get(index);
    if (!image) return;
    this.#shown = index;
    this.#stageSize(image.width, image.height);
    this.#picture(this.#address(image), t("Picture {n}", { n: index + 1 }), "done");
    this.#facts(image);
    this.#drawThumbs();
  }

  #showPreview() {
    this.#shown = null;
    this.#picture(this.#preview, "Live preview", "live");
    one("[data-facts]", this.#panel).hidden = true;
    this.#drawThumbs();
  }

  #stageSize(width, height) {
    const stage = one("[data-stage]", this.#panel);
    stage.style.setProperty("--w", width);
    stage.style.setProperty("--h", height);
  }

  #picture(source, words, state) {
    const picture = one("[data-picture]", this.#panel);
    picture.src = source;
    picture.alt = words;
    action("zoom", this.#panel).hidden = false;
    one("[data-stage]", this.#panel).dataset.state = state;
    this.#cells.hide();
    action("cells", this.#panel).hidden = !this.#cells.there;
  }

  // The way back from one cell to the whole grid.
  #wireCells() {
    const back = make("button", { type: "button", className: "tool to-cells", textContent: "Grid", hidden: true });
    back.dataset.action = "cells";
    back.addEventListener("click", () => {
      this.#shown = null;
      this.#pinned = false;
      this.#cells.show();
      one("[data-facts]", this.#panel).hidden = true;
      this.#drawThumbs();
    });
    one("[data-stage]", this.#panel).append(back);
  }

  #address(image) {
    return image.name ? pictureAddress(image.name) : address(`jobs/${image.job}/images/${image.index}`);
  }

  #facts(image) {
    const save = action("save", this.#panel);
    save.href = this.#address(image);
    save.download = image.name.split("/").pop() || `picture-${image.index + 1}.png`;
    const zip = action("zip", this.#panel);
    zip.href = address(`jobs/${image.job}/zip`);
    zip.hidden = [...this.#images.values()].filter(({ job }) => job === image.job).length < 2;
    say(one("[data-path]", this.#panel), image.partial ? t("{name} (interrupted)", image) : image.name);
    action("folder", this.#panel).hidden = !image.name;
    one("[data-path]", this.#panel).translate = Boolean(image.partial);
    const seen = one("[data-seen]", this.#panel);
    if (seen) say(seen, image.caption);
    showInfotext(one("[data-infotext]", this.#panel), image.infotext);
    one("[data-facts]", this.#panel).hidden = false;
  }

  #drawThumbs() {
    const list = one("[data-thumbs]", this.#panel);
    const focused = list.contains(document.activeElement);
    const indexes = [...this.#images.keys()].sort((a, b) => a - b);
    const thumbs = indexes.map((index) => this.#thumb(this.#address(this.#images.get(index)), t("Picture {n}", { n: index + 1 }), index));
    if (this.#preview) thumbs.push(this.#thumb(this.#preview, "Live preview", null));
    list.hidden = !this.#several; // its room is kept from the start: the picture above must not move
    this.#reuseLoaded(list, thumbs);
    const selected = one('[aria-selected="true"]', list);
    if (focused) selected?.focus();
    selected?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // Thumbnails that are already there keep their loaded picture: replaced ones would flicker.
  #reuseLoaded(list, thumbs) {
    const old = new Map(all("button", list).map((button) => [one("img", button).src, one("img", button)]));
    for (const thumb of thumbs) {
      const loaded = old.get(one("img", thumb).src);
      if (loaded) thumb.replaceChildren(loaded);
    }
    list.replaceChildren(...thumbs);
  }

  #thumb(source, words, index) {
    const selected = index === this.#shown;
    const button = make("button", { type: "button", className: "thumb", title: words }, make("img", { src: source, alt: "" }));
    button.setAttribute("role", "option");
    button.setAttribute("aria-label", words);
    button.setAttribute("aria-selected", String(selected));
    button.tabIndex = selected ? 0 : -1;
    button.addEventListener("click", () => this.#choose(index));
    return button;
  }

  #choose(index) {
    this.#pinned = index !== null;
    if (index === null) this.#showPreview();
    else this.show(index);
  }

  /** Arrow keys walk through the pictures. */
  step(direction) {
    const places = [...this.#images.keys()].sort((a, b) => a - b);
    if (this.#preview) places.push(null);
    const at = places.indexOf(this.#shown) + direction;
    if (at >= 0 && at < places.length) this.#choose(places[at]);
  }

  #keys(event) {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    this.step(direction);
  }

  #zoom() {
    const source = one("[data-picture]", this.#panel).src;
    const dialog = make("dialog", { className: "viewer" }, make("img", { src: source, alt: "The picture, large" }));
    dialog.setAttribute("aria-label", "The picture, large");
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("keydown", (event) => {
      this.#keys(event);
      one("img", dialog).src = one("[data-picture]", this.#panel).src;
    });
    document.body.append(dialog);
    dialog.showModal();
  }

  async #copy(button) {
    flash(button, (await copy(this.current?.infotext ?? "")) ? "Copied" : "Not allowed");
  }

  async #openFolder() {
    try {
      await post("open-folder", { name: this.current.name });
    } catch (refused) {
      say(one("[data-path]", this.#panel), refused.message); // on another machine: where the folder is
    }
  }
}
