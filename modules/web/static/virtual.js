// A grid that draws only what is in sight: thousands of cards open as fast as ten.

import { make } from "./dom.js";

const SPARE_ROWS = 2;

export class VirtualGrid {
  #frame;
  #room;
  #makeItem;
  #cell;
  #items = [];
  #drawn = new Map(); // index -> element
  #current = 0; // the item that Tab reaches

  /** `frame` scrolls, `room` inside it gets the height of all; `cell` is {width (at least), height, gap} of an item. */
  constructor(frame, room, cell, makeItem) {
    this.#frame = frame;
    this.#room = room;
    this.#cell = cell;
    this.#makeItem = makeItem;
    frame.addEventListener("scroll", () => this.#draw());
    new ResizeObserver(() => this.#layout()).observe(frame);
    room.addEventListener("keydown", (event) => this.#keys(event));
    room.addEventListener("focusin", (event) => this.#focused(event));
  }

  get columns() {
    const { width, gap } = this.#cell;
    return Math.max(1, Math.floor((this.#room.clientWidth + gap) / (width + gap)));
  }

  /** Show these items; the scroll position goes back to the top where `keep` is false. */
  show(items, keep = false) {
    this.#items = items;
    this.#current = keep ? Math.min(this.#current, Math.max(0, items.length - 1)) : 0;
    if (!keep) this.#frame.scrollTop = 0;
    this.#layout();
  }

  #layout() {
    const rows = Math.ceil(this.#items.length / this.columns);
    const { height, gap } = this.#cell;
    this.#room.style.height = `${Math.max(0, rows * (height + gap) - gap)}px`;
    this.#forget();
    this.#draw();
  }

  #forget() {
    const hadFocus = this.#room.contains(document.activeElement);
    this.#drawn.clear();
    this.#room.replaceChildren();
    if (hadFocus) requestAnimationFrame(() => this.#focus(this.#current));
  }

  #draw() {
    const { height, gap } = this.#cell;
    const columns = this.columns;
    const { scrollTop, clientHeight } = this.#frame;
    const first = Math.max(0, Math.floor(scrollTop / (height + gap)) - SPARE_ROWS) * columns;
    const last = Math.min(this.#items.length, (Math.ceil((scrollTop + clientHeight) / (height + gap)) + SPARE_ROWS) * columns);
    for (const [index, element] of this.#drawn) {
      if ((index >= first && index < last) || element.contains(document.activeElement)) continue;
      element.remove();
      this.#drawn.delete(index);
    }
    for (let index = first; index < last; index++) if (!this.#drawn.has(index)) this.#place(index, columns);
  }

  #place(index, columns) {
    const { height, gap } = this.#cell;
    const width = (this.#room.clientWidth - gap * (columns - 1)) / columns;
    const element = make("div", { className: "cell" }, this.#makeItem(this.#items[index]));
    element.setAttribute("role", "listitem");
    element.setAttribute("aria-setsize", this.#items.length);
    element.setAttribute("aria-posinset", index + 1);
    element.style.cssText = `left:${(index % columns) * (width + gap)}px;top:${Math.floor(index / columns) * (height + gap)}px;width:${width}px;height:${height}px`;
    element.dataset.index = index;
    element.querySelector("button").tabIndex = index === this.#current ? 0 : -1;
    // Reading order is the order on the screen, also after scrolling up.
    const next = [...this.#room.children].find((other) => Number(other.dataset.index) > index) ?? null;
    this.#room.insertBefore(element, next);
    this.#drawn.set(index, element);
  }

  /** Draw the items in sight anew (something about them has changed). */
  refresh() {
    this.#layout();
  }

  #keys(event) {
    const columns = this.columns;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity }[event.key];
    if (!step || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    const target = Math.min(this.#items.length - 1, Math.max(0, this.#current + step));
    if (Math.abs(step) === columns && (target - this.#current) % columns) return; // no jump sideways at the ends
    this.#focus(target);
  }

  #focused(event) {
    const index = Number(event.target.closest(".cell")?.dataset.index);
    if (Number.isNaN(index) || index === this.#current) return;
    this.#drawn.get(this.#current)?.querySelector("button")?.setAttribute("tabindex", "-1");
    this.#current = index;
    this.#drawn.get(index).querySelector("button").tabIndex = 0;
  }

  #focus(index) {
    if (!this.#items.length) return;
    const { height, gap } = this.#cell;
    const top = Math.floor(index / this.columns) * (height + gap);
    const { scrollTop, clientHeight } = this.#frame;
    if (top < scrollTop) this.#frame.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.#frame.scrollTop = top + height - clientHeight;
    this.#draw();
    this.#drawn.get(index)?.querySelector("button").focus({ preventScroll: true });
  }
}
