// The cells of a script's grid, shown in their places as they finish.

import { get } from "./api.js";
import { make, one } from "./dom.js";

const SMALLEST = 56; // pixels of a cell's side; a larger grid scrolls

export class Cells {
  #element;
  #stage;
  #job = null;
  #layout = null;
  #images = new Map(); // number of the picture -> its address
  #sizes = [1, 1];
  #preview = null;
  #choose;

  /** `choose(number)` is told which picture was clicked. */
  constructor(stage, choose) {
    this.#stage = stage;
    this.#choose = choose;
    this.#element = make("div", { className: "cells", hidden: true });
    this.#element.setAttribute("role", "group");
    this.#element.setAttribute("aria-label", "Cells of the grid");
    stage.append(this.#element);
    new ResizeObserver(() => this.#fit()).observe(stage);
  }

  /** Is there a grid to show? */
  get there() {
    return this.#layout !== null;
  }

  /** How many pictures the cells have; sheets are numbered after them. */
  get count() {
    return this.#layout ? this.#layout.sizes.reduce((sum, size) => sum + size, 0) : Infinity;
  }

  /** Begin the grid of a job; a job that is no script has none. */
  async begin(jobId, request) {
    this.#job = jobId;
    this.#layout = null;
    this.#images.clear();
    this.#preview = null;
    this.hide();
    if (request.kind !== "script") return;
    this.#sizes = [request.base.width, request.base.height];
    const layout = await get(`jobs/${jobId}/layout`).catch(() => null);
    if (this.#job !== jobId || !layout?.places.length) return;
    this.#layout = layout;
    this.#draw();
  }

  add(number, source) {
    this.#images.set(number, source);
    this.#preview = null;
    this.#place(this.#cellOf(number), source, number);
  }

  /** The live preview is in the cell that is being drawn. */
  preview(source) {
    const next = this.#layout?.sizes.findIndex((_, cell) => !this.#images.has(this.#firstOf(cell))) ?? -1;
    if (next >= 0) this.#place(next, (this.#preview = source), null);
  }

  show() {
    this.#element.hidden = false;
    this.#stage.dataset.state = "cells";
    this.#fit();
  }

  hide() {
    this.#element.hidden = true;
  }

  #firstOf(cell) {
    return this.#layout.sizes.slice(0, cell).reduce((sum, size) => sum + size, 0);
  }

  // The first picture of a cell stands for it.
  #cellOf(number) {
    return this.#layout?.sizes.findIndex((_, cell) => this.#firstOf(cell) === number) ?? -1;
  }

  #draw() {
    const { columns, rows, grids } = this.#layout;
    const tables = grids.map((title, z) => {
      const table = make("div", { className: "cell-table" });
      table.style.setProperty("--columns", columns.length);
      if (title) table.append(make("p", { className: "cell-grid-title", translate: false, textContent: title }));
      table.append(make("span"), ...columns.map((words) => make("span", { className: "cell-title", translate: false, textContent: words, title: words })));
      rows.forEach((words, y) => {
        table.append(make("span", { className: "cell-title side", translate: false, textContent: words, title: words }));
        columns.forEach((_, x) => table.append(this.#empty(x, y, z, [columns[x], words, title])));
      });
      return table;
    });
    this.#element.replaceChildren(...tables);
    for (const [number, source] of this.#images) this.#place(this.#cellOf(number), source, number);
    this.show();
  }

  #empty(x, y, z, words) {
    const cell = make("button", { type: "button", className: "grid-cell", disabled: true });
    cell.dataset.place = `${x},${y},${z}`;
    cell.setAttribute("aria-label", words.filter(Boolean).join(", ") || "Picture");
    return cell;
  }

  #place(cell, source, number) {
    const place = this.#layout?.places[cell];
    const button = place && one(`[data-place="${place.join(",")}"]`, this.#element);
    if (!button) return;
    const image = one("img", button) ?? button.appendChild(make("img", { alt: "" }));
    image.src = source;
    button.classList.toggle("live", number === null);
    button.disabled = number === null;
    button.onclick = () => this.#choose(number);
  }

  // Cells as large as the stage lets all of a grid be seen.
  #fit() {
    if (!this.#layout || this.#element.hidden) return;
    const { columns, rows, grids } = this.#layout;
    const ratio = this.#sizes[0] / this.#sizes[1] || 1;
    const wide = (this.#stage.clientWidth - 32 - 72) / columns.length - 4;
    const high = ((this.#stage.clientHeight - 32) / grids.length - 28 - (grids[0] ? 28 : 0)) / rows.length - 4;
    const width = Math.max(SMALLEST, Math.floor(Math.min(wide, high * ratio)));
    this.#element.style.setProperty("--cell", `${width}px`);
    this.#element.style.setProperty("--ratio", ratio);
  }
}
