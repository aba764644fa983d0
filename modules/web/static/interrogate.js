// Interrogate: what somebody sees in the picture of img2img becomes its prompt, with a way back.

import { post } from "./api.js";
import { captioners, hear, loadCaptioners } from "./captioners.js";
import { action, make, one } from "./dom.js";
import { t } from "./words.js";

const CHOICE = "page.captioner";
const SAYS = {
  sentence: "A sentence (A1111's Interrogate CLIP)",
  tags: "Tags (A1111's Interrogate DeepBooru)",
  "": "Added by an extension",
};

export class Interrogate {
  #form;
  #root;
  #menu;
  #opener;
  #picture;
  #job = null; // "" while it is on its way to the server
  #written = null; // {before, words} while they can be taken back

  /** `picture()` gives the name of the picture on the canvas, kept on the server; throws `Refused`. */
  constructor(form, root, picture) {
    this.#form = form;
    this.#root = root;
    this.#picture = picture;
    this.#menu = one("[data-captioner-menu]", root);
    this.#opener = action("captioners", root);
    action("interrogate", root).addEventListener("click", () => this.#ask(this.#choice));
    this.#opener.addEventListener("click", () => this.#menu.togglePopover());
    this.#menu.addEventListener("beforetoggle", (event) => this.#toggles(event.newState === "open"));
    this.#menu.addEventListener("toggle", (event) => event.newState === "open" && this.#opened());
    form.onChange((names) => {
      if (names.includes("prompt") && this.#written && form.get("prompt") !== this.#written.words) this.#tell("");
    });
  }

  /** The one that was chosen last, else the first that can speak. */
  get #choice() {
    const all = captioners();
    const chosen = this.#form.get(CHOICE);
    const ready = all.find(({ problem }) => !problem) ?? all[0];
    return all.some(({ name }) => name === chosen) ? chosen : (ready?.name ?? "");
  }

  // The menu

  #toggles(open) {
    this.#opener.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const { left, bottom } = this.#opener.parentElement.getBoundingClientRect();
    const width = Math.min(360, innerWidth - 32);
    this.#menu.style.width = `${width}px`;
    this.#menu.style.left = `${Math.max(16, Math.min(left, innerWidth - width - 16))}px`;
    this.#menu.style.top = `${bottom + 4}px`;
    this.#draw();
  }

  async #opened() {
    one("button", this.#menu)?.focus();
    await loadCaptioners(); // files may have been put there meanwhile
    const at = document.activeElement?.dataset.captioner;
    this.#draw();
    if (at) [...this.#menu.querySelectorAll("button")].find(({ dataset }) => dataset.captioner === at)?.focus();
  }

  #draw() {
    const list = one("[data-captioner-list]", this.#menu);
    list.replaceChildren(...captioners().map((captioner) => make("li", {}, this.#item(captioner))));
  }

  #item({ name, kind, problem }) {
    const says = make("span", { textContent: problem || SAYS[kind] });
    const title = make("b", { textContent: name, translate: false });
    const button = make("button", { type: "button", className: problem ? "captioner missing" : "captioner" }, title, says);
    button.dataset.captioner = name;
    if (name === this.#choice) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      this.#menu.hidePopover();
      this.#form.fill({ [CHOICE]: name });
      this.#ask(name);
    });
    return button;
  }

  // Asking

  async #ask(name) {
    if (this.#job !== null) return;
    this.#job = "";
    this.#tell("Looking at the picture", { label: "Stop", work: () => this.#stop() });
    try {
      if (!captioners().length) await loadCaptioners();
      const picture = await this.#picture();
      const job = await post("interrogate", { picture, captioner: name || this.#choice });
      this.#job = job.id;
      this.#hear(job.id);
    } catch (refused) {
      this.#job = null;
      this.#tell(refused.message, null, true);
    }
  }

  #hear(job) {
    let seen = null;
    hear(job, {
      Captioned: (event) => (seen = event),
      Failed: ({ message }) => this.#ended(message, true),
      Finished: () => (seen ? this.#write(seen) : this.#ended("Stopped: the prompt is as it was.")),
    });
  }

  #ended(words, problem = false) {
    this.#job = null;
    this.#tell(words, null, problem);
  }

  #stop() {
    if (this.#job) post(`jobs/${this.#job}/cancel`).catch(() => {});
  }

  #write({ captioner, text }) {
    this.#job = null;
    if (!text) return this.#tell(t("{captioner} is sure of nothing in this picture: lower its threshold in the settings.", { captioner }));
    const before = this.#form.get("prompt");
    this.#written = null; // the change below is no edit of the words before
    this.#form.fill({ prompt: text });
    this.#tell(t("The prompt is what {captioner} sees.", { captioner }), { label: "Undo", work: () => this.#undo() });
    this.#written = { before, words: text };
  }

  #undo() {
    const { before } = this.#written;
    this.#written = null;
    this.#form.fill({ prompt: before });
    this.#tell("The prompt is as it was.");
    one('[data-knob="prompt"] textarea', this.#root).focus();
  }

  /** One line beside the buttons, with what can be done about it. */
  #tell(words, offer = null, problem = false) {
    const line = one("[data-interrogated]", this.#root);
    this.#written = null;
    one("[data-interrogated-words]", line).textContent = words;
    line.classList.toggle("problem", problem);
    line.hidden = !words;
    const place = one("[data-interrogated-buttons]", line);
    place.replaceChildren();
    if (!offer) return;
    const button = make("button", { type: "button", className: "quiet", textContent: offer.label });
    button.addEventListener("click", offer.work);
    place.append(button);
  }
}
