// A list whose rows stay the same elements while what they say changes: nothing flickers, and the focus stays.

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  up: "m6 14 6-6 6 6",
  down: "m6 10 6 6 6-6",
  clear: "m6 6 12 12M18 6 6 18",
  recycle: "M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5M12 7v5l3 2",
  dice: "M7 4h10a3 3 0 0 1 3 3v10a3 3 0 0 1-3 3H7a3 3 0 0 1-3-3V7a3 3 0 0 1 3-3zM9 9h0M15 9h0M12 12h0M9 15h0M15 15h0",
};

/** One of the page's line icons. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of Object.entries({ class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round" })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export class KeyedList {
  #list;
  #make;
  #key;
  #rows = new Map();

  /** `make(item)` gives an element with a method `update(item)`; items of the same `key(item, place)` are one row. */
  constructor(list, make, key) {
    this.#list = list;
    this.#make = make;
    this.#key = key;
  }

  show(items) {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && [...this.#list.children].findIndex((row) => row.contains(focused));
    const rows = new Map();
    items.forEach((item, at) => {
      const key = this.#key(item, at);
      const row = this.#rows.get(key) ?? this.#make(item);
      row.update(item);
      rows.set(key, row);
    });
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.remove();
    this.#rows = rows;
    let before = this.#list.firstElementChild;
    for (const row of rows.values()) {
      if (row === before) before = before.nextElementSibling;
      else this.#list.insertBefore(row, before);
    }
    if (focused) this.#keepFocus(focused, place);
  }

  // A row that moved takes the focus along; of one that went the next one gets it.
  #keepFocus(focused, place) {
    if (focused.isConnected) return focused.focus({ preventScroll: false });
    const next = this.#list.children[Math.min(place, this.#list.children.length - 1)];
    next?.querySelector("button:not([hidden])")?.focus();
  }
}
