// The wall of pictures: scrolls with the page, draws only what is near, and is walked by mouse, finger and keys.

import { make } from "./dom.js";
import { shown } from "./translate.js";
import { t } from "./words.js";

const GAP = 4;
const SPARE = 0.75; // screens above and below that are drawn too
const HOLD = 450; // milliseconds a finger rests to select
const STILL = 90; // milliseconds without scrolling, after which pictures are asked for
const SLIP = 10; // pixels that a resting finger may move

export class Grid {
  size = 176;
  selected = new Set(); // ids
  #room;
  #pages;
  #does; // {open(index), selected(), scrolled(), query() (see Viewer)}
  #drawn = new Map(); // index -> element
  #current = 0; // the place that Tab reaches
  #anchor = null; // where a range begins
  #columns = 1;
  #side = 0;
  #scrolled = 0;
  #lastTop = 0;
  #hold = 0; // timer of a resting finger
  #held = false;
  #still = 0;

  constructor(room, pages, does) {
    this.#room = room;
    this.#pages = pages;
    this.#does = does;
    addEventListener("scroll", () => this.#scroll(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(room.parentElement);
    room.addEventListener("keydown", (event) => this.#keys(event));
    room.addEventListener("focusin", ({ target }) => this.#focused(target));
    room.addEventListener("click", (event) => this.#click(event));
    this.#wireTouch();
  }

  get current() {
    return this.#current;
  }

  get inSight() {
    return this.#room.offsetParent !== null;
  }

  /** The place of the picture on top of the screen. */
  get top() {
    if (!this.#side) return 0;
    const above = Math.max(0, this.#ceiling() - this.#room.getBoundingClientRect().top);
    return Math.floor(above / (this.#side + GAP)) * this.#columns;
  }

  /** Draw anew: other pictures, another size, or another width. */
  layout() {
    const width = this.#room.clientWidth;
    if (!width) return;
    this.#columns = Math.max(2, Math.floor((width + GAP) / (this.size + GAP)));
    this.#side = (width - GAP * (this.#columns - 1)) / this.#columns;
    const rows = Math.ceil(this.#pages.total / this.#columns);
    this.#room.style.height = `${Math.max(0, rows * (this.#side + GAP) - GAP)}px`;
    this.#current = Math.min(this.#current, Math.max(0, this.#pages.total - 1));
    for (const [index, shot] of this.#drawn) this.#put(shot, index);
    this.draw();
  }

  /** Forget what is drawn (the pictures are others now), and begin at the top. */
  reset() {
    this.#clear();
    this.#current = 0;
    this.#anchor = null;
    const bar = this.#room.getBoundingClientRect().top - this.#ceiling();
    if (bar < 0) scrollBy({ top: bar, behavior: "instant" });
  }

  /** What is in sight, with what is known of it now. */
  draw() {
    if (!this.inSight || !this.#side) return;
    const [first, last] = this.#range();
    for (const [index, shot] of this.#drawn) {
      if (index >= first && index < last) continue;
      if (shot === document.activeElement && index < this.#pages.total) continue;
      shot.remove();
      this.#drawn.delete(index);
    }
    for (let index = first; index < last; index++) this.#show(index);
    this.#order();
  }

  /** Where a picture is drawn, its marks are as they are now. */
  mark() {
    for (const [index, shot] of this.#drawn) this.#marks(shot, this.#pages.at(index));
  }

  select(ids, on) {
    for (const id of ids) on ? this.selected.add(id) : this.selected.delete(id);
    this.mark();
    this.#does.selected();
  }

  selectNone() {
    this.#anchor = null;
    this.select([...this.selected], false);
  }

  /** Bring a picture into sight and give it the focus. */
  focus(index) {
    if (!this.#pages.total) return this.#room.focus({ preventScroll: true });
    this.#current = Math.max(0, Math.min(index, this.#pages.total - 1));
    const top = this.#room.getBoundingClientRect().top + Math.floor(this.#current / this.#columns) * (this.#side + GAP);
    const ceiling = this.#ceiling() + GAP;
    const floor = innerHeight - this.#side - 16;
    if (top < ceiling) scrollBy({ top: top - ceiling, behavior: "instant" });
    else if (top > floor) scrollBy({ top: top - floor, behavior: "instant" });
    this.draw();
    this.#show(this.#current);
    this.#tabStops();
    this.#drawn.get(this.#current)?.focus({ preventScroll: true });
  }

  // The lower edge of the bar that stays on top.
  #ceiling() {
    const bar = this.#room.parentElement.querySelector("[data-bar]");
    return getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
  }

  #range() {
    const top = this.#room.getBoundingClientRect().top;
    const row = this.#side + GAP;
    const spare = innerHeight * SPARE;
    const first = Math.max(0, Math.floor((-top - spare) / row)) * this.#columns;
    const last = Math.max(0, Math.ceil((innerHeight - top + spare) / row)) * this.#columns;
    return [Math.min(first, this.#pages.total), Math.min(last, this.#pages.total)];
  }

  #clear() {
    this.#drawn.clear();
    this.#room.replaceChildren();
  }

  #show(index) {
    const picture = this.#pages.at(index);
    let shot = this.#drawn.get(index);
    // The place stays, the picture may be another one now.
    if (shot && picture && shot.dataset.id !== picture.id) {
      const had = shot === document.activeElement;
      shot.remove();
      shot = null;
      this.#drawn.delete(index);
      if (had) requestAnimationFrame(() => this.focus(this.#current));
    }
    if (!shot) {
      shot = this.#make(index, picture);
      this.#drawn.set(index, shot);
      this.#room.append(shot);
    }
    if (picture) this.#fill(shot, picture);
  }

  #make(index, picture) {
    const shot = make("div", { className: "shot" });
    shot.setAttribute("role", "option");
    shot.dataset.index = index;
    if (picture) shot.dataset.id = picture.id;
    this.#put(shot, index);
    return shot;
  }

  #put(shot, index) {
    const row = this.#side + GAP;
    shot.style.cssText = `left:${(index % this.#columns) * row}px;top:${Math.floor(index / this.#columns) * row}px;width:${this.#side}px;height:${this.#side}px`;
    shot.setAttribute("aria-posinset", index + 1);
    shot.setAttribute("aria-setsize", this.#pages.total);
    shot.tabIndex = index === this.#current ? 0 : -1;
  }

  #fill(shot, picture) {
    if (!shot.firstChild) {
      shot.dataset.id = picture.id;
      const image = make("img", { alt: "", decoding: "async", draggable: false });
      image.addEventListener("load", () => image.classList.add("there"));
      image.addEventListener("error", () => shot.classList.add("lost"));
      shot.append(image, make("span", { className: "shot-check" }), make("span", { className: "shot-star" }));
    }
    this.#marks(shot, picture);
    const image = shot.firstChild;
    if (!image.src && performance.now() - this.#scrolled > STILL) image.src = thumbnail(picture, this.#side) + this.#does.query();
  }

  #marks(shot, picture) {
    if (!picture || !shot.firstChild) return;
    shot.setAttribute("aria-selected", String(this.selected.has(picture.id)));
    shot.classList.toggle("favourite", picture.favourite);
    shot.translate = false; // what people wrote
    shot.ariaLabel = shown(words(picture));
    shot.title = picture.prompt || picture.file;
  }

  // Reading order is the order on the screen, also after scrolling up.
  #order() {
    const shots = [...this.#room.children];
    const sorted = shots.every((shot, at) => !at || Number(shots[at - 1].dataset.index) < Number(shot.dataset.index));
    if (sorted || this.#room.contains(document.activeElement)) return;
    this.#room.append(...shots.sort((a, b) => a.dataset.index - b.dataset.index));
  }

  // While one rushes past, places are drawn and pictures are not asked for.
  #scroll() {
    if (!this.inSight) return;
    const fast = Math.abs(scrollY - this.#lastTop) > innerHeight / 2;
    this.#lastTop = scrollY;
    if (fast) this.#scrolled = performance.now();
    clearTimeout(this.#still);
    this.#still = setTimeout(() => this.draw(), STILL + 10);
    this.draw();
    this.#does.scrolled();
  }

  #focused(target) {
    const index = Number(target.dataset?.index);
    if (Number.isNaN(index)) return;
    this.#current = index;
    this.#tabStops();
  }

  #tabStops() {
    for (const [index, shot] of this.#drawn) shot.tabIndex = index === this.#current ? 0 : -1;
  }

  // --- mouse and finger ---

  #click(event) {
    const shot = event.target.closest(".shot");
    if (!shot || this.#held) return (this.#held = false);
    const index = Number(shot.dataset.index);
    const picking = event.target.closest(".shot-check") || event.ctrlKey || event.metaKey;
    if (event.shiftKey) this.#selectTo(index);
    else if (picking || (this.selected.size && event.pointerType === "touch")) this.#toggle(index);
    else this.#does.open(index);
    return undefined;
  }

  #wireTouch() {
    const room = this.#room;
    let from = null;
    const release = () => clearTimeout(this.#hold);
    room.addEventListener("pointerdown", (event) => {
      this.#held = false;
      const shot = event.target.closest(".shot");
      if (event.pointerType !== "touch" || !shot) return;
      from = event;
      this.#hold = setTimeout(() => {
        this.#held = true;
        this.#toggle(Number(shot.dataset.index));
        navigator.vibrate?.(10);
      }, HOLD);
    });
    room.addEventListener("pointermove", (event) => {
      if (from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > SLIP) release();
    });
    for (const name of ["pointerup", "pointercancel"]) room.addEventListener(name, release);
    room.addEventListener("contextmenu", (event) => this.#held && event.preventDefault());
  }

  // --- selecting ---

  #toggle(index) {
    const picture = this.#pages.at(index);
    if (!picture) return;
    this.#anchor = index;
    this.#current = index;
    this.#tabStops();
    this.select([picture.id], !this.selected.has(picture.id));
  }

  async #selectTo(index) {
    const from = this.#anchor ?? this.#current;
    const [first, last] = [Math.min(from, index), Math.max(from, index)];
    const pictures = [];
    for (let place = first; place <= last; place++) pictures.push(this.#pages.at(place) ?? (await this.#pages.wait(place)));
    this.#anchor = from;
    this.select(pictures.filter(Boolean).map(({ id }) => id), true);
  }

  // --- keys ---

  #keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = Math.max(1, Math.floor(innerHeight / (this.#side + GAP)) - 1);
    const step = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.#columns,
      ArrowUp: -this.#columns,
      PageDown: this.#columns * rows,
      PageUp: -this.#columns * rows,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    const work = step ? () => this.#walk(step, event) : this.#plain(event.key);
    if (!work) return;
    event.preventDefault();
    event.stopPropagation();
    work();
  }

  #plain(key) {
    if (key === "Enter") return () => this.#does.open(this.#current);
    if (key === " ") return () => this.#toggle(this.#current);
    return null;
  }

  #walk(step, { shiftKey }) {
    const target = Math.max(0, Math.min(this.#pages.total - 1, this.#current + step));
    const sideways = Number.isFinite(step) && Math.abs(step) > 1 && (target - this.#current) % this.#columns;
    if (sideways && Math.floor(target / this.#columns) === Math.floor(this.#current / this.#columns)) return;
    if (shiftKey) this.#anchor ??= this.#current;
    this.focus(target);
    if (shiftKey) this.#selectTo(target);
  }
}

/** The address of a picture's thumbnail that is sharp on `side` pixels. */
export function thumbnail({ id, version }, side) {
  const size = side * devicePixelRatio > 288 ? 512 : 256;
  return new URL(`../../api/v1/gallery/pictures/${id}/thumbnail?size=${size}&v=${version}`, import.meta.url).href;
}

export function words({ prompt, file, width, height, day, favourite }) {
  const said = prompt ? prompt.slice(0, 120) : file;
  const values = { prompt: said, width, height, day };
  return favourite ? t("{prompt}, {width} × {height}, {day}, favourite", values) : `${said}, ${width} × ${height}, ${day}`;
}
