// One picture of a data set, large: what of it is taken, cut by hand, and how it is trained.

import { action, all, later, one, say } from "./dom.js";
import { sentence } from "./train-set.js";
import { t } from "./words.js";

const LARGE = 1024;
const LEAST = 16; // pixels of the picture

export class Crop {
  #dialog;
  #set;
  #form;
  #id = null;
  #box = null; // {left, top, width, height} in the upright picture; null: all of it
  #save = later(() => this.#keep(), 500);
  #unsaved = false;

  constructor(dialog, set, form) {
    this.#dialog = dialog;
    this.#set = set;
    this.#form = form;
    const on = (name, work) => action(name, dialog).addEventListener("click", work);
    on("crop-close", () => dialog.close());
    on("crop-before", () => this.#walk(-1));
    on("crop-after", () => this.#walk(1));
    on("crop-all", () => this.#decide("plain"));
    on("crop-focus", () => this.#decide("focus"));
    on("crop-exclude", () => this.#exclude());
    dialog.addEventListener("close", () => this.#keep());
    for (const input of all("[data-crop]", dialog)) input.addEventListener("change", () => this.#typed(input));
    one("[data-crop-picture]", dialog).addEventListener("load", () => this.#draw());
    this.#wirePaper();
    this.#wireKeys();
    set.onChange((typed) => !typed && dialog.open && this.#show());
  }

  open(id) {
    this.#id = id;
    this.#take();
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#show();
  }

  get #picture() {
    return this.#set.picture(this.#id);
  }

  #take() {
    const crop = this.#picture?.crop;
    this.#box = crop ? { left: crop[0], top: crop[1], width: crop[2] - crop[0], height: crop[3] - crop[1] } : null;
    this.#unsaved = false;
  }

  async #walk(by) {
    await this.#keep();
    const ids = this.#set.pictures.map(({ id }) => id);
    this.open(ids[(ids.indexOf(this.#id) + by + ids.length) % ids.length]);
  }

  // --- changes ---

  #change(box) {
    const { width, height } = this.#picture;
    if (box) {
      const size = { width: clamp(box.width, LEAST, width), height: clamp(box.height, LEAST, height) };
      box = { ...size, left: clamp(box.left, 0, width - size.width), top: clamp(box.top, 0, height - size.height) };
      box = Object.fromEntries(Object.entries(box).map(([side, value]) => [side, Math.round(value)]));
      if (box.width === width && box.height === height) box = null;
    }
    this.#box = box;
    this.#unsaved = true;
    this.#draw();
    this.#save();
  }

  get #whole() {
    const { width, height } = this.#picture;
    return this.#box ?? { left: 0, top: 0, width, height };
  }

  #typed(input) {
    const value = Number(input.value);
    if (Number.isFinite(value)) this.#change({ ...this.#whole, [input.dataset.crop]: value });
  }

  async #keep() {
    if (!this.#unsaved) return;
    this.#unsaved = false;
    const box = this.#box && [this.#box.left, this.#box.top, this.#box.left + this.#box.width, this.#box.top + this.#box.height];
    await this.#ask("crop", { id: this.#id, box });
  }

  // Both are of the server: what is interesting it sees, and plain is without crop, focus and parts.
  async #decide(kind) {
    this.#unsaved = false;
    await this.#ask("fix", { kind, ids: [this.#id] });
  }

  async #exclude() {
    await this.#ask("exclude", { ids: [this.#id], excluded: !this.#picture.excluded });
  }

  async #ask(what, body) {
    try {
      await this.#set.change(what, body);
      say(one("[data-crop-problem]", this.#dialog), "");
    } catch (error) {
      say(one("[data-crop-problem]", this.#dialog), sentence(error));
    }
  }

  // --- pointer and keys ---

  #wirePaper() {
    const paper = one("[data-crop-paper]", this.#dialog);
    paper.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      paper.setPointerCapture(event.pointerId);
      const from = this.#place(event);
      const corner = event.target.closest("[data-crop-box] > i");
      const inside = event.target.closest("[data-crop-box]");
      const start = this.#whole;
      const follow = corner ? resize(start, all("i", inside).indexOf(corner)) : inside && this.#box ? move(start, from) : stretch(from);
      const moved = (next) => this.#change(follow(this.#place(next)));
      const end = () => paper.removeEventListener("pointermove", moved);
      paper.addEventListener("pointermove", moved);
      paper.addEventListener("pointerup", end, { once: true });
      paper.addEventListener("pointercancel", end, { once: true });
    });
  }

  /** Where a pointer is, in the picture's pixels. */
  #place({ clientX, clientY }) {
    const frame = one("[data-crop-picture]", this.#dialog).getBoundingClientRect();
    const { width, height } = this.#picture;
    return {
      x: clamp(((clientX - frame.left) / frame.width) * width, 0, width),
      y: clamp(((clientY - frame.top) / frame.height) * height, 0, height),
    };
  }

  #wireKeys() {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    one("[data-crop-box]", this.#dialog).addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const { width, height } = this.#picture;
      const by = Math.max(1, Math.round(Math.max(width, height) / 100));
      const box = this.#whole;
      const [x, y] = step.map((direction) => direction * by);
      if (event.shiftKey) this.#change({ ...box, width: box.width + x, height: box.height + y });
      else this.#change({ ...box, left: box.left + x, top: box.top + y });
    });
  }

  // --- what is shown ---

  #show() {
    const picture = this.#picture;
    if (!picture) return this.#dialog.close();
    if (!this.#unsaved) this.#take();
    Object.assign(one("[data-crop-title]", this.#dialog), { translate: false, textContent: picture.file });
    // The whole picture, however it is cut.
    showImage(one("[data-crop-picture]", this.#dialog), this.#set.thumbnail(picture, LARGE));
    showImage(one("[data-crop-fitted]", this.#dialog), this.#set.fitted(picture, this.#form.get("fit")));
    action("crop-exclude", this.#dialog).textContent = picture.excluded ? "Use this picture again" : "Leave this picture out";
    const said = this.#set.findings.filter(({ ids }) => ids.includes(picture.id));
    one("[data-crop-problems]", this.#dialog).replaceChildren(...said.map(({ sentence: words }) => Object.assign(document.createElement("li"), { textContent: words })));
    this.#draw();
  }

  #draw() {
    const picture = this.#picture;
    if (!picture) return;
    const box = this.#whole;
    const share = (part, all) => `${(100 * part) / all}%`;
    const area = one("[data-crop-box]", this.#dialog);
    area.style.left = share(box.left, picture.width);
    area.style.top = share(box.top, picture.height);
    area.style.width = share(box.width, picture.width);
    area.style.height = share(box.height, picture.height);
    area.setAttribute("aria-description", t("{width} by {height} pixels at {left}, {top}", box));
    one("[data-crop-paper]", this.#dialog).style.aspectRatio = `${picture.width} / ${picture.height}`;
    one("[data-crop-paper]", this.#dialog).style.setProperty("--shape", picture.width / picture.height);
    for (const input of all("[data-crop]", this.#dialog)) input.value = box[input.dataset.crop];
    const fit = this.#form.get("fit");
    const cut = this.#box ? t("{w} × {h} of {width} × {height}", { w: box.width, h: box.height, width: picture.width, height: picture.height }) : `${picture.width} × ${picture.height}`;
    const how = ["As it is trained", fit, picture.split && "in parts, this is the first", picture.focus && "what matters in sight", t("from {size}", { size: cut })];
    one("[data-crop-words]", this.#dialog).textContent = how.filter(Boolean).join(" · ");
    action("crop-all", this.#dialog).disabled = !(this.#box || picture.focus || picture.split);
  }
}

function showImage(image, source) {
  if (image.src !== source) image.src = source;
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

const move = (start, from) => ({ x, y }) => ({ ...start, left: start.left + x - from.x, top: start.top + y - from.y });

const between = (a, b) => ({
  left: Math.min(a.x, b.x),
  top: Math.min(a.y, b.y),
  width: Math.abs(a.x - b.x),
  height: Math.abs(a.y - b.y),
});

const stretch = (from) => (to) => between(from, to);

/** Corners are in the order of the markup: left top, right top, left bottom, right bottom; the opposite one stays. */
function resize({ left, top, width, height }, corner) {
  const fixed = { x: corner % 2 ? left : left + width, y: corner < 2 ? top + height : top };
  return (to) => between(fixed, to);
}
