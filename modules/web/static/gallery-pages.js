// The pictures that were asked for, page by page: any place in a hundred thousand is one request away.

import { get } from "./api.js";

export const PAGE = 200;

export class Pages {
  total = 0;
  days = []; // {day, count}, newest first
  #query = "";
  #starts = []; // the cursor of each page
  #pages = new Map(); // number of the page -> its pictures, or null while they are on their way
  #run = 0; // of what is asked: answers to an older question are not heard
  #changed;

  /** `changed()` is called when pictures have come. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Ask for the pictures of a query. The first page and the outline of all are asked for at once. */
  async open(query) {
    const run = ++this.#run;
    const [first, outline] = await Promise.all([
      get(`gallery?${query}&limit=${PAGE}`),
      get(`gallery/outline?${query}&page=${PAGE}`),
    ]);
    if (run !== this.#run) return false;
    this.#query = query;
    this.#starts = outline.starts;
    this.total = outline.total;
    this.days = outline.days;
    this.#pages.clear();
    // A picture that was saved between the two answers would move all others by one.
    const fits = first.pictures.length && BigInt(first.pictures[0].cursor) + 1n === BigInt(outline.starts[0] ?? 0);
    if (fits) this.#pages.set(0, first.pictures);
    this.#changed();
    return true;
  }

  /** The picture at a place, or undefined; then it is on its way. */
  at(index) {
    if (index < 0 || index >= this.total) return undefined;
    const number = Math.floor(index / PAGE);
    if (!this.#pages.has(number)) this.#load(number);
    return this.#pages.get(number)?.[index % PAGE];
  }

  /** The picture at a place as soon as it is there. */
  async wait(index) {
    if (index < 0 || index >= this.total) return undefined;
    await this.#load(Math.floor(index / PAGE));
    return this.at(index);
  }

  /** Where a picture is, among those that have come; -1 elsewhere. */
  placeOf(id) {
    for (const [number, pictures] of this.#pages) {
      const place = pictures?.findIndex((picture) => picture.id === id) ?? -1;
      if (place >= 0) return number * PAGE + place;
    }
    return -1;
  }

  /** Every picture that has come. */
  *known() {
    for (const pictures of this.#pages.values()) yield* pictures ?? [];
  }

  #coming = new Map();

  #load(number) {
    if (this.#pages.get(number)) return Promise.resolve();
    if (this.#coming.has(`${this.#run} ${number}`)) return this.#coming.get(`${this.#run} ${number}`);
    const key = `${this.#run} ${number}`;
    const coming = this.#fetch(number, this.#run).finally(() => this.#coming.delete(key));
    this.#coming.set(key, coming);
    return coming;
  }

  async #fetch(number, run) {
    this.#pages.set(number, null);
    const start = this.#starts[number];
    const answer = await get(`gallery?${this.#query}&limit=${PAGE}&before=${start}`).catch(() => null);
    if (run !== this.#run) return;
    if (answer) this.#pages.set(number, answer.pictures);
    else this.#pages.delete(number); // asked for again when it comes into sight again
    if (answer) this.#changed();
  }
}
