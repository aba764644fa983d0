// Painted layers over a picture, in the picture's own pixels, and the way back from every stroke.

const MOST_BYTES = 160 << 20; // of pixels kept for undo

export function sheet(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return canvas;
}

/** The 2D context of a canvas whose pixels are often read. */
export const pen = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

/** A transparent canvas that is drawn on in strokes; every stroke can be undone. */
export class Layer {
  canvas = sheet(1, 1);
  #before = sheet(1, 1);
  #dirty = null; // [left, top, right, bottom] of the stroke so far

  resize(width, height) {
    for (const canvas of [this.canvas, this.#before]) Object.assign(canvas, { width, height });
  }

  begin() {
    const { width, height } = this.#before;
    const before = pen(this.#before);
    before.clearRect(0, 0, width, height);
    before.drawImage(this.canvas, 0, 0);
    this.#dirty = null;
  }

  /** A round line of `size` pixels; `erase` takes away instead. */
  line(from, to, { size, colour, erase }) {
    const context = pen(this.canvas);
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: size, strokeStyle: colour });
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + (from.x === to.x && from.y === to.y ? 0.01 : 0), to.y);
    context.stroke();
    const edge = size / 2 + 1;
    this.#touch(Math.min(from.x, to.x) - edge, Math.min(from.y, to.y) - edge);
    this.#touch(Math.max(from.x, to.x) + edge, Math.max(from.y, to.y) + edge);
  }

  /** Everything one colour, or with null everything gone. */
  flood(colour) {
    const context = pen(this.canvas);
    const { width, height } = this.canvas;
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, width, height);
    if (colour) {
      context.fillStyle = colour;
      context.fillRect(0, 0, width, height);
    }
    this.#touchAll();
  }

  /** What is painted becomes free and what is free painted. */
  invert(colour) {
    const context = pen(this.canvas);
    context.globalCompositeOperation = "source-out";
    context.fillStyle = colour;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.#touchAll();
  }

  /** Another picture instead of what is painted. */
  replace(source) {
    const context = pen(this.canvas);
    context.globalCompositeOperation = "copy";
    context.drawImage(source, 0, 0, this.canvas.width, this.canvas.height);
    this.#touchAll();
  }

  #touch(x, y) {
    const [left, top, right, bottom] = this.#dirty ?? [x, y, x, y];
    this.#dirty = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  }

  #touchAll() {
    this.#dirty = [0, 0, this.canvas.width, this.canvas.height];
  }

  /** The stroke is done: what it changed, or null. */
  end() {
    const box = this.#dirty && this.#inside(this.#dirty);
    if (!box) return null;
    const cut = (canvas) => pen(canvas).getImageData(...box);
    return { layer: this, x: box[0], y: box[1], before: cut(this.#before), after: cut(this.canvas) };
  }

  /** The stroke never was. */
  cancel() {
    const context = pen(this.canvas);
    context.globalCompositeOperation = "copy";
    context.drawImage(this.#before, 0, 0);
  }

  #inside([left, top, right, bottom]) {
    const x = Math.max(0, Math.floor(left));
    const y = Math.max(0, Math.floor(top));
    const width = Math.min(this.canvas.width, Math.ceil(right)) - x;
    const height = Math.min(this.canvas.height, Math.ceil(bottom)) - y;
    return width > 0 && height > 0 ? [x, y, width, height] : null;
  }

  /** How much of it is painted, 0 to 1. */
  get coverage() {
    const small = sheet(64, 64);
    pen(small).drawImage(this.canvas, 0, 0, 64, 64);
    const { data } = pen(small).getImageData(0, 0, 64, 64);
    let sum = 0;
    for (let i = 3; i < data.length; i += 4) sum += data[i];
    return sum / (255 * 64 * 64);
  }
}

/** What was done, and what was undone. */
export class History {
  #done = [];
  #undone = [];

  add(change) {
    if (!change) return;
    this.#done.push(change);
    this.#undone = [];
    let bytes = 0;
    const kept = this.#done.findLastIndex(({ before }) => (bytes += 2 * before.data.length) > MOST_BYTES);
    this.#done.splice(0, Math.min(kept + 1, this.#done.length - 1));
  }

  undo() {
    this.#move(this.#done, this.#undone, "before");
  }

  redo() {
    this.#move(this.#undone, this.#done, "after");
  }

  #move(from, to, state) {
    const change = from.pop();
    if (!change) return;
    pen(change.layer.canvas).putImageData(change[state], change.x, change.y);
    to.push(change);
  }

  clear() {
    this.#done = [];
    this.#undone = [];
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }
}
