// The Checkpoint Merger tab: what is mixed in which parts, and a question before a file is replaced.

import { names } from "./names.js";
import { action, one, say } from "./dom.js";
import { Form } from "./fields.js";
import { fillListsIn } from "./lists.js";
import { remember } from "./memory.js";
import { Runner } from "./run.js";

/** A merge draws no pictures. */
const NO_PICTURES = { begin() {}, addImage() {}, addPreview() {}, end() {} };

export class MergerTab {
  name = "merge";

  constructor(root, panel, models) {
    this.root = root;
    this.panel = panel;
    this.form = new Form(root);
    const run = one("[data-run]", root);
    const mine = ({ request }) => request.kind === "merge";
    const order = () => ({ kind: "merge", ...this.form.values() });
    const ended = (state) => this.#ended(state, models);
    const refused = (error) => this.#ask(error);
    this.runner = new Runner({ form: this.form, output: NO_PICTURES, panel, run, mine, order, ended, refused });
    action("overwrite", root).addEventListener("click", () => this.#overwrite());
    fillListsIn(root);
    this.form.onChange(() => this.#changed());
    this.#changed();
  }

  async open() {
    await remember(this.form, this.name);
  }

  get isInSight() {
    return this.root.offsetParent !== null;
  }

  #changed() {
    const method = this.form.get("method");
    const shown = { checkpoint_b: method !== "No interpolation", checkpoint_c: method === "Add difference", multiplier: method !== "No interpolation" };
    for (const [name, on] of Object.entries(shown)) this.form.field(name).element.hidden = !on;
    one("[data-recipe]", this.root).textContent = recipe(this.form.values());
    one("[data-ask]", this.root).hidden = true;
  }

  // The one refusal that a click can answer: the file is there already.
  #ask({ field, message }) {
    if (field !== "overwrite") return false;
    one("[data-ask-words]", this.root).textContent = message;
    one("[data-ask]", this.root).hidden = false;
    action("overwrite", this.root).focus();
    return true;
  }

  async #overwrite() {
    one("[data-ask]", this.root).hidden = true;
    await this.runner.generate(() => ({ kind: "merge", ...this.form.values(), overwrite: true }));
  }

  async #ended(state, models) {
    if (state !== "done") return;
    await Promise.all([models.refresh(), names.loadNetworks(true)]);
  }
}

const stem = (name) => name.split("/").pop().replace(/\.\w+$/, "");

/** The recipe in one line, as the result is called where it gets no other name. */
function recipe({ method, multiplier: m, checkpoint_a: a, checkpoint_b: b, checkpoint_c: c }) {
  const share = (number) => Number(number.toFixed(4));
  const [first, second, third] = [stem(a) || "A", stem(b) || "B", stem(c) || "C"];
  if (method === "Weighted sum") return `${share(1 - m)} × ${first} + ${share(m)} × ${second}`;
  if (method === "Add difference") return `${first} + ${share(m)} × (${second} − ${third})`;
  return first;
}
