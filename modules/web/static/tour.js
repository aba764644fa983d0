// First steps: at a person's first visit a few words on the controls that matter, beside the controls themselves. The
// page can be used meanwhile; Escape ends it, and the question mark in the top bar shows it again.

import { call, get } from "./api.js";
import { make, one, openTab } from "./dom.js";
import { mine } from "./mine.js";
import { t } from "./words.js";

const GAP = 8; // pixels around what is meant, and to the card
const EDGE = 16;
const NARROW = "(max-width: 760px)";
const form = '[data-panel="txt2img"]';

const STEPS = [
  {
    at: `${form} [data-knob="prompt"]`,
    title: "Say what you want to see",
    text: "Describe the picture here: things, colours, a place, a style, with commas between them.",
  },
  {
    at: `${form} [data-run] .run-buttons`,
    title: "Draw it",
    text: "Generate draws it, and so do Ctrl and Enter in any field. You can go on typing meanwhile.",
  },
  {
    at: '.topbar [data-knob="checkpoint"]',
    title: "Choose who draws",
    text: "A checkpoint is a model that has learned to draw. The small one that comes with the program draws simple things; put others into models/Stable-diffusion, and press the arrow to see them.",
  },
  {
    at: "#tab-gallery-button",
    title: "Find your pictures again",
    text: "Every finished picture is kept in the Gallery, with the words and numbers it was made from.",
  },
  {
    at: "#tab-train-button",
    title: "Teach it something new",
    text: "Train makes a new word out of your own pictures. An example lies ready there.",
  },
  {
    at: "#tab-settings-button",
    title: "Make it yours",
    text: "Settings has the colours, notifications and all the rest. The question mark on top shows these steps again.",
  },
];

class Tour {
  #root = null;
  #step = 0;
  #before = null; // what had the focus
  #again = () => requestAnimationFrame(() => this.#place());
  #at = ""; // where that was
  #keys = (event) => this.#key(event);
  #left = () => this.#remember();

  get isOpen() {
    return this.#root !== null;
  }

  /** Show it to somebody who is here for the first time, or who wants it at the next visit. */
  async offer() {
    if (!mine.settings.first_steps || one("dialog[open], :popover-open")) return;
    const wanted = mine.changed.includes("first_steps");
    const { jobs } = wanted ? { jobs: [] } : await get("jobs?limit=1").catch(() => ({ jobs: [null] }));
    if (!jobs.length) this.start();
  }

  start() {
    if (this.isOpen) return;
    this.#before = document.activeElement;
    openTab("tab-txt2img");
    this.#root = this.#made();
    document.body.append(this.#root);
    this.#root.showPopover();
    addEventListener("resize", this.#again);
    addEventListener("pagehide", this.#left);
    document.addEventListener("keydown", this.#keys, { capture: true });
    this.#show(0);
    this.#stay();
    this.#button("next").focus({ preventScroll: true });
  }

  end() {
    if (!this.isOpen) return;
    removeEventListener("resize", this.#again);
    removeEventListener("pagehide", this.#left);
    document.removeEventListener("keydown", this.#keys, { capture: true });
    const had = this.#root.contains(document.activeElement);
    this.#root.remove();
    this.#root = null;
    if (had) this.#giveBack();
    this.#remember();
  }

  // To where it was; a newcomer goes on with the prompt, but no phone's keyboard jumps up for that.
  #giveBack() {
    const was = this.#before?.isConnected && this.#before !== document.body ? this.#before : null;
    const prompt = matchMedia("(pointer: coarse)").matches ? null : one(`${form} [data-knob="prompt"] textarea`);
    (was ?? prompt)?.focus({ preventScroll: true });
  }

  #remember() {
    if (!mine.settings.first_steps) return;
    mine.settings.first_steps = false;
    call("PATCH", "settings/mine", { values: { first_steps: false } }, true).catch(() => {});
  }

  #made() {
    const button = (name, className, textContent, work) => {
      const made = make("button", { type: "button", className, textContent });
      made.dataset.tour = name;
      made.addEventListener("click", work);
      return made;
    };
    const count = make("p", { className: "tour-count", id: "tour-count" });
    const title = make("h2", { className: "tour-title", id: "tour-title" });
    const text = make("p", { className: "tour-text", id: "tour-text" });
    const said = make("div", {}, count, title, text);
    said.setAttribute("aria-live", "polite"); // the buttons keep the focus from step to step
    said.setAttribute("aria-atomic", "true");
    const buttons = make(
      "div",
      { className: "tour-buttons" },
      button("skip", "quiet", "Skip", () => this.end()),
      button("back", "second small", "Back", () => this.#show(this.#step - 1)),
      button("next", "primary small", "Next", () => this.#onward()),
    );
    const card = make("div", { className: "tour-card" }, said, buttons);
    card.setAttribute("role", "dialog");
    card.setAttribute("aria-labelledby", "tour-title");
    card.setAttribute("aria-describedby", "tour-text");
    const root = make("div", { className: "tour", popover: "manual" }, make("div", { className: "tour-ring" }), card);
    return root;
  }

  #button(name) {
    return one(`[data-tour="${name}"]`, this.#root);
  }

  #onward() {
    if (this.#step + 1 < STEPS.length) this.#show(this.#step + 1);
    else this.end();
  }

  #show(step) {
    this.#step = step;
    const { title, text } = STEPS[step];
    const last = step + 1 === STEPS.length;
    one(".tour-count", this.#root).textContent = t("First steps, {n} of {total}", { n: step + 1, total: STEPS.length });
    one(".tour-title", this.#root).textContent = title;
    one(".tour-text", this.#root).textContent = text;
    const back = this.#button("back");
    if (!step && document.activeElement === back) this.#button("next").focus();
    back.hidden = !step;
    this.#button("skip").hidden = last;
    this.#button("next").textContent = last ? "Done" : "Next";
    this.#bringIntoSight();
    this.#place();
  }

  get #target() {
    const found = one(STEPS[this.#step].at);
    const list = found?.closest("[role=tablist]");
    // In a narrow window only a row of the tabs is in sight, beside the button that shows them all.
    if (list && !isWithin(found.getBoundingClientRect(), list.getBoundingClientRect())) return one(".tabs-all:not([hidden])");
    return found?.getClientRects().length ? found : null;
  }

  #bringIntoSight() {
    const target = this.#target;
    if (!target) return;
    if (!isWithin(target.getBoundingClientRect(), new DOMRect(0, 0, innerWidth, innerHeight))) target.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  }

  #place() {
    if (!this.isOpen) return;
    const box = this.#target?.getBoundingClientRect();
    const ring = one(".tour-ring", this.#root);
    ring.hidden = !box;
    if (box) {
      Object.assign(ring.style, {
        left: `${box.left - GAP}px`,
        top: `${box.top - GAP}px`,
        width: `${box.width + 2 * GAP}px`,
        height: `${box.height + 2 * GAP}px`,
      });
    }
    const card = one(".tour-card", this.#root);
    const [left, top] = cardPlace(box ?? new DOMRect(innerWidth / 2, innerHeight / 3, 0, 0), card.offsetWidth, card.offsetHeight);
    Object.assign(card.style, { left: `${left}px`, top: `${top}px` });
  }

  // The page may scroll, or still grow and move what is meant.
  #stay() {
    if (!this.isOpen) return;
    const box = this.#target?.getBoundingClientRect();
    const at = box ? [box.left, box.top, box.width, box.height].join() : "";
    if (at !== this.#at) this.#place();
    this.#at = at;
    requestAnimationFrame(() => this.#stay());
  }

  #key(event) {
    if (event.key !== "Escape" || event.isComposing || one("dialog[open]")) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // it must not interrupt a job as well
    this.end();
  }
}

const isWithin = (box, room) => box.top >= room.top - 1 && box.left >= room.left - 1 && box.bottom <= room.bottom + 1 && box.right <= room.right + 1;

/** Where a card goes that must not cover the box: below or above it, in the window. */
function cardPlace(box, width, height) {
  const below = box.bottom + 2 * GAP;
  const above = box.top - 2 * GAP - height;
  const most = innerHeight - height - EDGE;
  const top = below <= most ? below : above >= EDGE ? above : most;
  if (matchMedia(NARROW).matches) return [(innerWidth - width) / 2, Math.max(EDGE, top)];
  return [Math.max(EDGE, Math.min(box.left - GAP, innerWidth - width - EDGE)), Math.max(EDGE, top)];
}

export const tour = new Tour();
