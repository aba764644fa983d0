// The img2img tab: its modes, the canvas's pictures on their way to the server and back, and what is asked for.

import { Refused } from "./api.js";
import { Batch, WITHOUT_MASK } from "./batch.js";
import { Painter } from "./canvas.js";
import { action, all, later, one, openTab } from "./dom.js";
import { wireHandover } from "./handover.js";
import { keepPicture, keptPicture } from "./inputs.js";
import { Interrogate } from "./interrogate.js";
import { asBlob, greyOf, painted, toAlpha } from "./masks.js";
import { sheet } from "./layers.js";
import { DrawTab } from "./tab.js";

const SIDE = 8; // sides are multiples of it
// What the brush draws on in a mode; null: the picture is only looked at.
const KINDS = { Sketch: "paint", Inpaint: "mask", "Inpaint sketch": "paint", "Inpaint upload": "mask" };
const MASKED = ["Inpaint", "Inpaint sketch", "Inpaint upload"];

export class Img2imgTab extends DrawTab {
  #painter;
  #batch;
  #kept = { base: null, mask: null, paint: null }; // name on the server of what the canvas shows
  #keeping = Promise.resolve();
  #loading = 0;

  constructor(root, panel, models) {
    super("img2img", root, panel, models, {
      order: () => this.#order(),
      mine: ({ request }) => !request.kind && Boolean(request.image),
    });
    this.#painter = new Painter(one("[data-painter]", root));
    const batch = one("[data-batch]", root);
    this.#batch = new Batch(batch, (sentence) => this.say(sentence));
    batch.addEventListener("masks", () => this.#show());
    one("[data-idle-text]", panel).textContent = "Choose a picture, say what it should become, then press Generate.";
    this.#wireCanvas();
    this.#wireSize();
    new Interrogate(this.form, root, async () => this.#pictureToDescribe());
    wireHandover(root, {
      picture: (blob) => this.setPicture(blob).catch((error) => this.say(error.message)),
      mask: (blob) => this.#setMask(blob).catch((error) => this.say(error.message)),
    });
    this.form.onChange((names) => this.#follow(names));
    this.#show();
  }

  async open() {
    await super.open();
    await this.#load();
    this.#show();
  }

  get #mode() {
    return this.form.get("page.mode");
  }

  // Pictures from elsewhere

  /** A picture (a Blob) to begin with. */
  async setPicture(blob) {
    const picture = await opened(blob);
    this.#painter.setPicture(picture);
    await this.#keepAll();
  }

  /** A picture sent from another tab, and the words it was made with. */
  async take(blob, mode, words) {
    openTab(`tab-${this.name}`);
    if (words) this.form.fill(words);
    this.form.fill({ "page.mode": mode });
    await this.setPicture(blob);
    this.say("");
  }

  /** A picture that was made here, with the picture and the mask it began with. */
  use(reading) {
    const { image, inpaint } = reading.request ?? {};
    super.use(reading);
    if (!image) return;
    const mode = inpaint ? "Inpaint" : "img2img";
    this.form.fill({ "page.mode": mode, "page.base": image.picture, "page.mask": inpaint?.mask ?? "", "page.paint": "" });
    this.#load();
  }

  async #setMask(blob) {
    const { picture } = this.#painter;
    if (!picture) throw new Refused("Choose the picture first, then its mask.");
    const mask = toAlpha(await opened(blob), picture.width, picture.height);
    this.#painter.edit("mask", (layer) => layer.replace(mask));
  }

  // Keeping what the canvas shows

  #wireCanvas() {
    const { form } = this;
    const painter = this.#painter;
    painter.on("change", () => this.#keepLater());
    painter.on("size", (size) => form.fill({ "page.brush": size }));
    painter.on("colour", (colour) => form.fill({ "page.colour": colour }));
    action("remove-picture", this.root).addEventListener("click", () => painter.setPicture(null));
    action("blank", this.root).addEventListener("click", () => {
      const blank = sheet(form.get("width"), form.get("height"));
      const context = blank.getContext("2d");
      context.fillStyle = "#ffffff";
      context.fillRect(0, 0, blank.width, blank.height);
      painter.setPicture(blank);
    });
  }

  #keepLater = later(() => this.#keepAll().catch(() => {}), 500);

  /** Send what is new on the canvas to the server, so that a reload finds it; one after another. */
  #keepAll() {
    this.#keeping = this.#keeping.catch(() => {}).then(() => this.#keepNow());
    return this.#keeping;
  }

  async #keepNow() {
    const painter = this.#painter;
    const { picture, layers } = painter;
    const base = picture ? await keepPicture(await asBlob(picture)) : "";
    const filled = (layer) => picture && layer.coverage > 0;
    const mask = filled(layers.mask) ? await keepPicture(await asBlob(greyOf(layers.mask.canvas))) : "";
    const paint = filled(layers.paint) ? await keepPicture(await asBlob(layers.paint.canvas)) : "";
    if (painter.picture !== picture) return; // another one meanwhile; it is kept next
    this.#kept = { base, mask, paint };
    this.form.fill({ "page.base": base, "page.mask": mask, "page.paint": paint });
  }

  /** Put the pictures that the form names onto the canvas. */
  async #load() {
    const mine = ++this.#loading;
    const wanted = Object.fromEntries(["base", "mask", "paint"].map((name) => [name, this.form.get(`page.${name}`)]));
    if (Object.entries(wanted).every(([name, value]) => this.#kept[name] === value)) return;
    this.#kept = wanted;
    const pictures = await Promise.all(Object.values(wanted).map((name) => (name ? keptPicture(name) : null)));
    if (mine !== this.#loading) return;
    const [base, mask, paint] = await Promise.all(pictures.map((blob) => blob && opened(blob)));
    if (wanted.base && !base) this.say("The picture that this began with is not kept any more: choose it again.");
    this.#painter.setPicture(base);
    if (!base) return;
    this.#painter.edit("mask", (layer) => layer.replace(mask ? toAlpha(mask, base.width, base.height) : sheet(1, 1)));
    this.#painter.edit("paint", (layer) => layer.replace(paint ?? sheet(1, 1)));
    this.#painter.forget();
  }

  // What is seen

  #follow(names) {
    if (names.some((name) => name.startsWith("page.") || name.startsWith("image.") || name.startsWith("inpaint."))) {
      this.#show();
    }
    if (names.includes("width") || names.includes("height")) this.#showFrame();
  }

  #show() {
    const { form } = this;
    const painter = this.#painter;
    const mode = this.#mode;
    painter.kind = KINDS[mode] ?? null;
    painter.size = form.get("page.brush");
    painter.colour = form.get("page.colour");
    const batch = mode === "Batch";
    one("[data-painter]", this.root).hidden = batch;
    one("[data-batch]", this.root).hidden = !batch;
    one('[data-file="mask"]', this.root).hidden = mode !== "Inpaint upload";
    const masked = MASKED.includes(mode) || (batch && this.#batch.hasMasks);
    for (const element of all("[data-mask-fields]", this.root)) element.hidden = !masked;
    form.field("page.colour").element.hidden = painter.kind !== "paint";
    form.field("page.transparency").element.hidden = mode !== "Inpaint sketch";
    form.field("inpaint.padding").element.classList.toggle("off", form.get("inpaint.area") !== "Only masked");
    this.#showFrame();
  }

  // What "Crop and resize" cuts off is dimmed on the canvas.
  #showFrame() {
    const crops = this.form.get("image.resize_mode") === "Crop and resize";
    this.#painter.frame = crops ? [this.form.get("width"), this.form.get("height")] : null;
  }

  #wireSize() {
    const { form } = this;
    action("measure", this.root).addEventListener("click", () => this.#resize(1));
    form.onChange((names, chosen) => {
      if (names.includes("page.scale") && form.get("page.scale")) this.#resize(form.get("page.scale"));
      else if (chosen && form.get("page.scale") && (names.includes("width") || names.includes("height"))) {
        form.fill({ "page.scale": null }); // a size that was typed goes first
      }
    });
    this.#painter.on("change", (name) => {
      const scale = form.get("page.scale");
      if (name === "picture" && scale) this.#resize(scale);
    });
  }

  /** Width and height from the picture's. `chosen` false: the scale stays in force. */
  #resize(scale) {
    const { picture } = this.#painter;
    if (!picture) return;
    const [width, height] = scaled(picture, scale);
    this.form.fill({ width, height }, scale === 1);
  }

  // What is asked for

  async #order() {
    const values = this.form.values();
    if (this.#mode === "Batch") return this.#batch.order(values, this.form.get("page.own_words"), this.#sizeOf());
    const picture = await this.#keptPicture();
    const { mask } = this.#kept;
    if (!MASKED.includes(this.#mode)) return { ...values, image: { ...values.image, picture }, ...WITHOUT_MASK };
    const drawn = this.#mode === "Inpaint sketch" ? await this.#sketchedMask() : mask || (await this.#emptyMask());
    return { ...values, image: { ...values.image, picture }, inpaint: { ...values.inpaint, mask: drawn } };
  }

  /** The name on the server of the picture on the canvas, with what is painted on it. */
  async #keptPicture() {
    if (!this.#painter.picture) throw new Refused("Choose the picture to begin with: drop, paste or open one.");
    await this.#keepAll();
    if (KINDS[this.#mode] !== "paint") return this.#kept.base;
    const { picture, layers } = this.#painter;
    return keepPicture(await asBlob(painted(picture, layers.paint.canvas)));
  }

  #pictureToDescribe() {
    if (this.#mode !== "Batch") return this.#keptPicture();
    throw new Refused("Interrogate looks at one picture: many are captioned in Extras.");
  }

  #sizeOf() {
    const scale = this.form.get("page.scale");
    return scale ? (picture) => scaled(picture, scale) : () => [this.form.get("width"), this.form.get("height")];
  }

  async #sketchedMask() {
    const opacity = 1 - this.form.get("page.transparency") / 100;
    return keepPicture(await asBlob(greyOf(this.#painter.layers.paint.canvas, opacity)));
  }

  // Sent as it is: the server says in one sentence what an empty mask means.
  async #emptyMask() {
    return keepPicture(await asBlob(greyOf(this.#painter.layers.mask.canvas)));
  }
}

async function opened(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    throw new Refused("This is not a picture that the browser can show: use PNG, JPEG or WebP.");
  }
}

function scaled({ width, height }, scale) {
  const side = (length) => Math.max(SIDE * 2, Math.round((length * scale) / SIDE) * SIDE);
  return [side(width), side(height)];
}
