// Which part of a picture is in sight: a scale and a place. Screen lengths are CSS pixels.

const MARGIN = 8;
const LARGEST = 32;

export class View {
  scale = 1;
  x = 0; // where the picture's corner is on the screen
  y = 0;
  #whole = 1; // the scale at which all of it is seen

  /** All of a picture of width x height in a box. */
  fit(box, width, height) {
    this.#whole = this.#scaleFor(box, width, height);
    this.scale = this.#whole;
    this.x = (box.width - width * this.scale) / 2;
    this.y = (box.height - height * this.scale) / 2;
  }

  // A small picture is enlarged, but not to coarse squares.
  #scaleFor(box, width, height) {
    return Math.min((box.width - 2 * MARGIN) / width, (box.height - 2 * MARGIN) / height, 4);
  }

  /** Grow by `factor`; what is at the point stays there. */
  zoom(point, factor) {
    const scale = Math.min(LARGEST, Math.max(this.#whole / 4, this.scale * factor));
    const here = this.toPicture(point);
    this.scale = scale;
    this.x = point.x - here.x * scale;
    this.y = point.y - here.y * scale;
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
  }

  /** A point of the screen in the picture's pixels. */
  toPicture({ x, y }) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  toScreen({ x, y }) {
    return { x: x * this.scale + this.x, y: y * this.scale + this.y };
  }
}
