// The canvas: a picture, a mask and a painting over it, drawn on by mouse, pen, finger or keyboard.

import { action, all, one } from "./dom.js";
import { Gestures } from "./gestures.js";
import { History, Layer, pen, sheet } from "./layers.js";
import { View } from "./view.js";
import { t } from "./words.js";

const MASK_COLOUR = "#6f7cff"; // of the painted mask on the screen; only its opacity counts
const MASK_SEEN = 0.6;
const GROWTH = 1.2;

/** `kind` says what the brush draws on: "mask", "paint", or null for a picture that is only looked at. */
export class Painter {
  #root;
  #canvas;
  #view = new View();
  #history = new History();
  #listeners = { change: [], size: [], colour: [] };
  #cursor = null; // where the brush is, in picture pixels
  #kind = null;
  #size = 32;
  #frame = null;
  #waiting = false;
  picture = null; // a canvas
  layers = { mask: new Layer(), paint: new Layer() };
  tool = "brush";
  colour = "#ffffff";

  constructor(root) {
    this.#root = root;
    this.#canvas = one("canvas", root);
    new Gestures(this.#canvas, this);
    new ResizeObserver(() => this.fit()).observe(this.#canvas);
    this.#wireTools();
    this.#update();
  }

  /** Call `listener` after "change" (of a layer or the picture, with its name), "size" or "colour" (the brush's). */
  on(event, listener) {
    this.#listeners[event].push(listener);
  }

  #tell(event, value) {
    for (const listener of this.#listeners[event]) listener(value);
  }

  // What is drawn on

  /** Show a picture (anything that can be drawn) of its own size; null takes it away. Layers of another size go. */
  setPicture(source) {
    const before = this.picture && [this.picture.width, this.picture.height].join();
    this.picture = source && sheet(source.width, source.height);
    if (source) pen(this.picture).drawImage(source, 0, 0);
    if (!source || before !== [source.width, source.height].join()) this.#freshLayers();
    this.fit();
    this.#changed("picture");
  }

  #freshLayers() {
    const { width, height } = this.picture ?? { width: 1, height: 1 };
    for (const layer of Object.values(this.layers)) layer.resize(width, height);
    this.#history.clear();
  }

  get kind() {
    return this.#kind;
  }

  set kind(kind) {
    this.#kind = kind;
    this.#update();
  }

  get layer() {
    return this.picture && this.#kind ? this.layers[this.#kind] : null;
  }

  /** Change a layer as one step that can be undone. */
  edit(kind, work) {
    const layer = this.layers[kind];
    layer.begin();
    work(layer);
    this.#history.add(layer.end());
    this.#changed(kind);
  }

  // The brush

  get size() {
    return this.#size;
  }

  set size(size) {
    const rounded = Math.round(Math.min(2000, Math.max(1, size)));
    if (rounded === this.#size) return;
    this.#size = rounded;
    this.#tell("size", rounded);
    this.draw();
  }

  /** One step larger (1) or smaller (-1). */
  grow(direction) {
    const wanted = this.#size * GROWTH ** direction;
    this.size = direction > 0 ? Math.max(wanted, this.#size + 1) : Math.min(wanted, this.#size - 1);
  }

  get brush() {
    const colour = this.#kind === "mask" ? MASK_COLOUR : this.colour;
    return { size: this.#size, colour, erase: this.tool === "eraser" };
  }

  startStroke(point) {
    if (!this.layer) return;
    this.layer.begin();
    this.layer.line(point, point, this.brush);
    this.draw();
  }

  stroke(from, to) {
    this.layer?.line(from, to, this.brush);
    this.draw();
  }

  endStroke() {
    if (!this.layer) return;
    this.#history.add(this.layer.end());
    this.#changed(this.#kind);
  }

  cancelStroke() {
    this.layer?.cancel();
    this.draw();
  }

  /** What was done so far cannot be undone. */
  forget() {
    this.#history.clear();
    this.#update();
  }

  undo() {
    this.#history.undo();
    this.#changed(this.#kind);
  }

  redo() {
    this.#history.redo();
    this.#changed(this.#kind);
  }

  clear() {
    if (this.layer) this.edit(this.#kind, (layer) => layer.flood(null));
  }

  fill() {
    if (this.layer) this.edit(this.#kind, (layer) => layer.flood(this.brush.colour));
  }

  invert() {
    if (this.layer) this.edit(this.#kind, (layer) => layer.invert(MASK_COLOUR));
  }

  /** The colour at a point of the picture and the painting becomes the brush's. */
  pick(point) {
    if (!this.picture) return;
    const one = sheet(1, 1);
    const at = [-Math.floor(point.x), -Math.floor(point.y)];
    pen(one).drawImage(this.picture, ...at);
    pen(one).drawImage(this.layers.paint.canvas, ...at);
    const [r, g, b] = pen(one).getImageData(0, 0, 1, 1).data;
    this.colour = `#${[r, g, b].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
    this.#tell("colour", this.colour);
  }

  choose(tool) {
    this.tool = tool;
    this.#update();
  }

  // What is seen

  get view() {
    return this.#view;
  }

  get cursor() {
    return this.#cursor;
  }

  set cursor(point) {
    this.#cursor = point;
    this.draw();
  }

  /** The part of the picture that is used, as [width, height] of the wanted shape; null for all of it. */
  set frame(shape) {
    this.#frame = shape;
    this.draw();
  }

  fit() {
    if (this.picture) this.#view.fit(this.#box, this.picture.width, this.picture.height);
    this.draw();
    this.#update();
  }

  zoom(factor, point = { x: this.#box.width / 2, y: this.#box.height / 2 }) {
    this.#view.zoom(point, factor);
    this.draw();
    this.#update();
  }

  get #box() {
    return { width: this.#canvas.clientWidth, height: this.#canvas.clientHeight };
  }

  /** The whole page for the canvas, and back. */
  enlarge(large = !this.isLarge) {
    this.#root.classList.toggle("large", large);
    this.#update();
    this.#canvas.focus();
  }

  get isLarge() {
    return this.#root.classList.contains("large");
  }

  draw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#paint();
    });
  }

  #paint() {
    const ratio = devicePixelRatio || 1;
    const { width, height } = this.#box;
    if (!width) return;
    Object.assign(this.#canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    if (!this.picture) return;
    const context = this.#canvas.getContext("2d");
    const { scale, x, y } = this.#view;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
    context.imageSmoothingEnabled = scale < 3;
    context.drawImage(this.picture, 0, 0);
    if (this.#kind === "paint") context.drawImage(this.layers.paint.canvas, 0, 0);
    if (this.#kind === "mask") {
      context.globalAlpha = MASK_SEEN;
      context.drawImage(this.layers.mask.canvas, 0, 0);
      context.globalAlpha = 1;
    }
    if (this.#frame) this.#paintFrame(context);
    if (this.#cursor && this.layer && this.tool !== "hand") this.#paintCursor(context);
  }

  // What is cut off is dimmed.
  #paintFrame(context) {
    const { width, height } = this.picture;
    const scale = Math.min(width / this.#frame[0], height / this.#frame[1]);
    const [w, h] = [this.#frame[0] * scale, this.#frame[1] * scale];
    context.fillStyle = "rgb(0 0 0 / 45%)";
    context.beginPath();
    context.rect(0, 0, width, height);
    context.rect((width - w) / 2, (height - h) / 2, w, h);
    context.fill("evenodd");
  }

  // A dark and a light ring: seen on every ground.
  #paintCursor(context) {
    const thin = 1 / this.#view.scale;
    for (const [colour, radius] of [["rgb(0 0 0 / 70%)", this.#size / 2 + thin], ["#fff", this.#size / 2]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: thin * 1.2 });
      context.beginPath();
      context.arc(this.#cursor.x, this.#cursor.y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  // Tools and words

  #changed(name) {
    this.draw();
    this.#update();
    this.#tell("change", name);
  }

  #wireTools() {
    const work = {
      undo: () => this.undo(),
      redo: () => this.redo(),
      "fill-layer": () => this.fill(),
      "invert-layer": () => this.invert(),
      "clear-layer": () => this.clear(),
      "zoom-out": () => this.zoom(1 / GROWTH),
      "zoom-in": () => this.zoom(GROWTH),
      fit: () => this.fit(),
      enlarge: () => this.enlarge(),
    };
    for (const [name, doIt] of Object.entries(work)) action(name, this.#root).addEventListener("click", doIt);
    for (const button of all("[data-tool]", this.#root)) {
      button.addEventListener("click", () => this.choose(button.dataset.tool));
    }
  }

  #update() {
    const { dataset } = this.#root;
    dataset.kind = this.#kind ?? "";
    dataset.filled = this.picture ? "yes" : "";
    for (const button of all("[data-tool]", this.#root)) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === this.tool));
    }
    action("undo", this.#root).disabled = !this.#history.canUndo;
    action("redo", this.#root).disabled = !this.#history.canRedo;
    const name = this.isLarge ? "Back to the page" : "Use the whole window";
    Object.assign(action("enlarge", this.#root), { title: name, ariaLabel: name });
    this.#canvas.dataset.tool = this.layer ? this.tool : "look";
    one("[data-canvas-state]", this.#root).textContent = this.#words();
  }

  #words() {
    if (!this.picture) return "";
    const parts = [`${this.picture.width} × ${this.picture.height}`, `${Math.round(100 * this.#view.scale)} %`];
    const percent = this.#kind === "mask" ? Math.ceil(100 * this.layers.mask.coverage) : null;
    if (percent !== null) parts.push(percent ? t("mask {n} %", { n: percent }) : "nothing masked yet");
    return parts.join(" · ");
  }
}
