// The losses of a run over its steps, on a logarithmic scale; drawn as SVG, read with the pointer or arrow keys.

import { make, one } from "./dom.js";
import { number, t } from "./words.js";

const MARGIN = { left: 52, right: 20, top: 8, bottom: 22 };
const MOST_ROWS = 2400;
const WILD = 0.03; // share of the raw losses that may lie outside at either end
const SVG = "http://www.w3.org/2000/svg";
const LINES = [
  { name: "raw", label: "loss", column: 1 },
  { name: "smooth", label: "smoothed", column: 2 },
  { name: "evaluation", label: "evaluation", column: 5 },
];

/** Rows are [step, loss, smooth, rate, norm, evaluation]. */
export class Curve {
  #room;
  #figure;
  #rows = [];
  #steps = 1;
  #best = null;
  #at = null; // index of the row that is read
  #frame = 0;

  constructor(figure) {
    this.#figure = figure;
    this.#room = one("[data-curve]", figure);
    const keys = LINES.map(({ name, label }) => make("span", { className: name, textContent: label }));
    one("[data-legend]", figure).replaceChildren(...keys);
    new ResizeObserver(() => this.#later()).observe(this.#room);
    this.#room.addEventListener("pointermove", (event) => this.#point(event));
    this.#room.addEventListener("pointerleave", () => this.#read(null));
    this.#room.addEventListener("blur", () => this.#read(null));
    this.#room.addEventListener("keydown", (event) => this.#keys(event));
  }

  get last() {
    return this.#rows.at(-1)?.[0] ?? 0;
  }

  /** Show these rows of a run of `steps`. */
  show(rows, steps) {
    this.#rows = rows;
    this.#at = null;
    this.#steps = Math.max(1, steps);
    this.#later();
  }

  /** A row that is new; of one step the newest counts. */
  add(row, steps, best) {
    this.#steps = Math.max(1, steps);
    this.#best = best;
    const before = this.#rows.at(-1);
    if (before && row[0] < before[0]) this.#rows = this.#rows.filter(([step]) => step < row[0]); // it went back
    if (before?.[0] === row[0]) this.#rows[this.#rows.length - 1] = row.map((value, at) => value ?? before[at]);
    else this.#rows.push(row);
    if (this.#rows.length > MOST_ROWS) this.#rows = thinned(this.#rows);
    this.#later();
  }

  set best(step) {
    this.#best = step;
    this.#later();
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  // --- drawing ---

  get #plot() {
    const { clientWidth: width, clientHeight: height } = this.#room;
    return { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom, width, height };
  }

  #scales() {
    const { left, right, top, bottom } = this.#plot;
    const [low, high] = extent(this.#rows);
    const [from, to] = [Math.log10(low) - 0.04, Math.log10(Math.max(high, low * 1.2)) + 0.04];
    const last = Math.max(this.#steps, this.last);
    return {
      x: (step) => left + ((right - left) * step) / last,
      y: (value) => bottom - ((bottom - top) * (Math.log10(value) - from)) / (to - from),
      low: 10 ** from,
      high: 10 ** to,
      last,
    };
  }

  #draw() {
    const { width, height, left, right, bottom } = this.#plot;
    if (width < 50 || height < 50) return;
    const scales = this.#scales();
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    for (const value of levels(scales.low, scales.high)) {
      svg.append(shape("path", { class: "rule", d: `M${left} ${scales.y(value).toFixed(1)}H${right}` }));
      svg.append(text(left - 8, scales.y(value) + 4, short(value), "end"));
    }
    for (const step of marks(scales.last)) svg.append(text(scales.x(step), bottom + 16, number(step), "middle"));
    // A frame of its own cuts off what lies outside.
    const plot = shape("svg", { x: left, y: MARGIN.top, width: right - left, height: bottom - MARGIN.top, viewBox: `${left} ${MARGIN.top} ${right - left} ${bottom - MARGIN.top}`, class: "plot" });
    for (const { name, column } of LINES) plot.append(...this.#line(name, column, scales));
    svg.append(plot, ...this.#cursor(scales));
    this.#room.replaceChildren(svg);
    this.#room.setAttribute("aria-label", this.#summary());
  }

  #line(name, column, { x, y }) {
    const known = this.#rows.filter((row) => row[column] > 0);
    const points = known.map((row) => [x(row[0]), y(row[column])]);
    if (!points.length) return [];
    const line = shape("path", { class: `line ${name}`, d: `M${points.map((point) => point.map((at) => at.toFixed(1)).join(" ")).join("L")}` });
    if (name !== "evaluation") return [line];
    const best = known.findIndex(([step]) => step === this.#best);
    const dots = points.length <= 60 ? points.map(([cx, cy]) => shape("circle", { class: "dot", cx, cy, r: 2 })) : [];
    if (best >= 0) dots.push(shape("circle", { class: "best", cx: points[best][0], cy: points[best][1], r: 5 }));
    return [line, ...dots];
  }

  #cursor({ x, y }) {
    const row = this.#rows[this.#at];
    if (!row) return [];
    const { top, bottom } = this.#plot;
    const dots = LINES.filter(({ column }) => row[column] > 0).map(({ name, column }) => shape("circle", { class: `at ${name}`, cx: x(row[0]), cy: y(row[column]), r: 3.5 }));
    return [shape("path", { class: "cursor", d: `M${x(row[0])} ${top}V${bottom}` }), ...dots];
  }

  #summary() {
    const row = this.#rows.at(-1);
    if (!row) return "Loss: nothing yet";
    const parts = LINES.map(({ label, column }) => [label, this.#rows.findLast((one) => one[column] > 0)?.[column]]);
    const said = parts.filter(([, value]) => value).map(([label, value]) => `${label} ${short(value)}`);
    return t("Loss over {n} steps: {values}. Arrow keys read it.", { n: row[0], values: said.join(", ") });
  }

  // --- reading ---

  #point({ clientX }) {
    if (!this.#rows.length) return;
    const { x } = this.#scales();
    const at = clientX - this.#room.getBoundingClientRect().left;
    let nearest = 0;
    this.#rows.forEach(([step], index) => {
      if (Math.abs(x(step) - at) < Math.abs(x(this.#rows[nearest][0]) - at)) nearest = index;
    });
    this.#read(nearest);
  }

  #keys(event) {
    const last = this.#rows.length - 1;
    const by = Math.max(1, Math.round(last / 100));
    const to = { ArrowLeft: (this.#at ?? last + by) - by, ArrowRight: (this.#at ?? last) + by, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.#read(Math.min(last, Math.max(0, to)));
  }

  #read(index) {
    this.#at = index;
    const row = this.#rows[index];
    const [step, , , rate, norm] = row ?? [];
    const losses = row ? LINES.filter(({ column }) => row[column] > 0).map(({ label, column }) => `${label} ${short(row[column])}`) : [];
    const words = row ? [t("Step {step}", { step: number(step) }), ...losses, rate && t("rate {n}", { n: short(rate) }), norm && t("norm {n}", { n: short(norm) })] : [];
    one("[data-curve-read]", this.#figure).textContent = words.filter(Boolean).join(" · ");
    this.#later();
  }
}

/** From the least to the largest that is drawn; of the raw loss, which jumps, without the few wildest. */
function extent(rows) {
  const positive = (column) => rows.map((row) => row[column]).filter((value) => value > 0);
  const raw = positive(1).sort((a, b) => a - b);
  const calm = raw.slice(Math.floor(raw.length * WILD), raw.length - Math.floor(raw.length * WILD));
  const values = [...calm, ...positive(2), ...positive(5)];
  const widen = (best, value) => [Math.min(best[0], value), Math.max(best[1], value)];
  return values.length ? values.reduce(widen, [Infinity, 0]) : [0.01, 1];
}

/** Every second row, but all that carry an evaluation, and the last. */
function thinned(rows) {
  return rows.filter((row, index) => index % 2 === 0 || row[5] > 0 || index === rows.length - 1);
}

/** Levels of the logarithmic scale: as many as fit the eye. */
function levels(low, high) {
  const decades = Math.log10(high / low);
  const digits = decades > 2.5 ? [1] : decades > 1 ? [1, 2, 5] : decades > 0.5 ? [1, 1.5, 2, 3, 5, 7] : decades > 0.2 ? range(1, 10, 0.5) : range(1, 10, 0.1);
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    found.push(...digits.map((digit) => digit * 10 ** power).filter((value) => value >= low && value <= high));
  }
  const every = Math.ceil(found.length / 6);
  return found.filter((_, index) => index % every === 0);
}

const range = (from, to, by) => Array.from({ length: Math.round((to - from) / by) }, (_, index) => from + index * by);

/** Round steps for the axis below. */
function marks(last) {
  const rough = last / 5;
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const by = Math.max(1, [1, 2, 2.5, 5, 10].find((digit) => digit * power >= rough) * power);
  return Array.from({ length: Math.floor(last / by) + 1 }, (_, index) => Math.round(index * by));
}

/** Three digits that matter. */
export function short(value) {
  if (value === 0) return "0";
  return Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function text(x, y, words, anchor) {
  const element = shape("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor });
  element.textContent = words;
  return element;
}
