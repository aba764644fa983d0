// What hands do on the canvas. One finger, pen or mouse draws; two fingers move and zoom; keys do everything as well.

const STEP = 8; // screen pixels that an arrow key moves the brush

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

export class Gestures {
  #canvas;
  #painter;
  #down = new Map(); // pointer id -> its place on the canvas
  #doing = null; // "stroke", "move" or "pinch"
  #last = null; // the stroke's last point, in picture pixels
  #space = false;

  constructor(canvas, painter) {
    this.#canvas = canvas;
    this.#painter = painter;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", (event) => this.#release(event));
    canvas.addEventListener("pointerleave", () => !this.#doing && (painter.cursor = null));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => event.key === " " && (this.#space = false));
    canvas.addEventListener("blur", () => (this.#space = false));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #point(event) {
    return this.#painter.view.toPicture(this.#place(event));
  }

  #press(event) {
    if (!this.#painter.picture || this.#down.size > 1) return;
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    this.#canvas.setPointerCapture(event.pointerId);
    this.#down.set(event.pointerId, this.#place(event));
    if (this.#down.size === 2) return this.#pinch();
    if (event.altKey && this.#painter.kind === "paint") return this.#painter.pick(this.#point(event));
    const moves = this.#space || event.button === 1 || this.#painter.tool === "hand" || !this.#painter.layer;
    this.#doing = moves ? "move" : "stroke";
    if (moves) return;
    this.#last = this.#point(event);
    this.#painter.cursor = this.#last;
    this.#painter.startStroke(this.#last);
  }

  // The second finger: what the first began was no stroke.
  #pinch() {
    if (this.#doing === "stroke") this.#painter.cancelStroke();
    this.#doing = "pinch";
    this.#painter.cursor = null;
  }

  #drag(event) {
    const before = this.#down.get(event.pointerId);
    const place = this.#place(event);
    if (!before) {
      if (event.pointerType !== "touch") this.#painter.cursor = this.#point(event);
      return;
    }
    if (this.#doing === "stroke") this.#draw(event);
    else if (this.#doing === "move") this.#painter.view.move(place.x - before.x, place.y - before.y);
    else if (this.#doing === "pinch") this.#stretch(event.pointerId, place);
    this.#down.set(event.pointerId, place);
    this.#painter.draw();
  }

  #draw(event) {
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      const point = this.#point(step);
      this.#painter.stroke(this.#last, point);
      this.#last = point;
    }
    this.#painter.cursor = event.pointerType === "touch" ? null : this.#last;
  }

  #stretch(moved, place) {
    const [other] = [...this.#down].filter(([id]) => id !== moved).map(([, at]) => at);
    const before = this.#down.get(moved);
    const [from, to] = [middle(before, other), middle(place, other)];
    this.#painter.zoom(distance(place, other) / distance(before, other), from);
    this.#painter.view.move(to.x - from.x, to.y - from.y);
  }

  #release(event) {
    if (!this.#down.delete(event.pointerId) || this.#down.size) return;
    if (this.#doing === "stroke") this.#painter.endStroke();
    this.#doing = null;
  }

  // The plain wheel is the page's until the canvas is in use.
  #wheel(event) {
    const zooms = event.ctrlKey || event.metaKey || event.altKey;
    const inUse = document.activeElement === this.#canvas && this.#painter.layer;
    if (!this.#painter.picture || !(zooms || inUse)) return;
    event.preventDefault();
    const up = event.deltaY < 0 || event.deltaX < 0;
    if (zooms) this.#painter.zoom(up ? 1.1 : 1 / 1.1, this.#place(event));
    else this.#painter.grow(up ? 1 : -1);
  }

  #key(event) {
    const work = event.ctrlKey || event.metaKey ? this.#command(event) : this.#plain(event);
    if (!work || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    work();
  }

  #command(event) {
    const painter = this.#painter;
    const key = event.key.toLowerCase();
    if (key === "y" || (key === "z" && event.shiftKey)) return () => painter.redo();
    return key === "z" ? () => painter.undo() : null;
  }

  #plain(event) {
    const painter = this.#painter;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow) return () => this.#walk(arrow, event.shiftKey);
    const keys = {
      "[": () => painter.grow(-1),
      "]": () => painter.grow(1),
      q: () => painter.grow(-1),
      w: () => painter.grow(1),
      b: () => painter.choose("brush"),
      e: () => painter.choose("eraser"),
      h: () => painter.choose("hand"),
      "+": () => painter.zoom(1.25),
      "=": () => painter.zoom(1.25),
      "-": () => painter.zoom(0.8),
      0: () => painter.fit(),
      r: () => painter.fit(),
      s: () => painter.enlarge(),
      delete: () => painter.clear(),
      enter: () => this.#dab(),
      " ": () => (this.#space = true),
      escape: painter.isLarge ? () => painter.enlarge(false) : null,
    };
    return keys[event.key.toLowerCase()] ?? null;
  }

  // Arrows move the brush, with Shift they draw.
  #walk([dx, dy], draws) {
    const painter = this.#painter;
    if (!painter.layer) return;
    const { width, height } = painter.picture;
    const from = painter.cursor ?? { x: width / 2, y: height / 2 };
    const far = STEP / painter.view.scale;
    const to = {
      x: Math.min(width, Math.max(0, from.x + dx * far)),
      y: Math.min(height, Math.max(0, from.y + dy * far)),
    };
    if (draws) this.#keyStroke(from, to);
    painter.cursor = to;
  }

  #dab() {
    const painter = this.#painter;
    if (!painter.layer) return;
    painter.cursor ??= { x: painter.picture.width / 2, y: painter.picture.height / 2 };
    this.#keyStroke(painter.cursor, painter.cursor);
  }

  #keyStroke(from, to) {
    this.#painter.startStroke(from);
    this.#painter.stroke(from, to);
    this.#painter.endStroke();
  }
}
