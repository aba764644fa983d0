// Pictures to work on: dropped, chosen, pasted, a whole folder, or sent from another tab.

import { action, all, make, one } from "./dom.js";
import { keepPicture } from "./inputs.js";
import { readPicture } from "./reading.js";
import { t } from "./words.js";

const PICTURE = /\.(png|jpe?g|webp|bmp|gif|avif|tiff?)$/i;
const SHOWN = 24;

export class Source {
  #element;
  #files = []; // File or Blob
  #kept = new WeakMap(); // file -> {picture, text}
  #changed;

  /** `changed()` is called when there are other pictures. */
  constructor(element, changed) {
    this.#element = element;
    this.#changed = changed;
    for (const input of all("[data-choose]", element)) {
      input.addEventListener("change", () => {
        this.use([...input.files]);
        input.value = ""; // the same folder may be chosen again
      });
    }
    action("clear-source", element).addEventListener("click", () => this.use([]));
    element.addEventListener("dragover", (event) => this.#over(event, true));
    element.addEventListener("dragleave", (event) => this.#over(event, false));
    element.addEventListener("drop", (event) => this.#dropped(event));
    document.addEventListener("paste", (event) => this.#pasted(event));
  }

  get count() {
    return this.#files.length;
  }

  /** The first picture's address for showing it, or "". */
  get first() {
    return one("img", this.#element)?.src ?? "";
  }

  /** Take these pictures instead of those before. */
  use(files) {
    all("img", this.#element).forEach((image) => URL.revokeObjectURL(image.src));
    this.#files = files.filter((file) => file.type.startsWith("image/") || PICTURE.test(file.name ?? ""));
    this.#draw(files.length - this.#files.length);
    this.#changed();
  }

  #draw(left) {
    const count = this.count;
    this.#element.dataset.state = count > 1 ? "several" : count ? "one" : "empty";
    const shown = this.#files.slice(0, SHOWN).map((file) => make("img", { src: URL.createObjectURL(file), translate: !file.name, alt: file.name ?? "Picture" }));
    if (count > SHOWN) shown.push(make("span", { className: "source-more", textContent: `+ ${count - SHOWN}` }));
    one("[data-source-pictures]", this.#element).replaceChildren(...shown);
    const words = [count === 1 ? (this.#files[0].name ?? "One picture") : t("{n} pictures", { n: count })];
    if (left) words.push(t("{n} other files left out", { n: left }));
    one("[data-source-words]", this.#element).textContent = count ? words.join(" · ") : left ? "There is no picture among these files" : this.#element.dataset.call;
  }

  #over(event, inside) {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    this.#element.classList.toggle("over", inside);
  }

  async #dropped(event) {
    this.#over(event, false);
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files];
    if (files.length) this.use(files);
  }

  #pasted(event) {
    const files = [...event.clipboardData.files];
    if (!files.length || !this.#element.offsetParent || event.defaultPrevented) return;
    event.preventDefault(); // where two are in sight, the first takes it
    this.use(files);
  }

  /** Keep all on the server: {pictures, names, texts, readings}. `told(done, all)` hears how far it is. Throws `Refused`. */
  async keep(told) {
    const found = { pictures: [], names: [], texts: [], readings: [] };
    for (const [index, file] of this.#files.entries()) {
      if (this.count > 1) told(index, this.count);
      if (!this.#kept.has(file)) {
        const [picture, reading] = await Promise.all([keepPicture(file), readPicture(file).catch(() => null)]);
        this.#kept.set(file, { picture, reading });
      }
      const { picture, reading } = this.#kept.get(file);
      found.pictures.push(picture);
      found.names.push(file.name ?? "picture.png");
      found.texts.push(reading?.text ?? "");
      found.readings.push(reading);
    }
    return found;
  }
}

/** All files below a dropped file or folder. */
export async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}
