// The Extras tab: what goes in, which of the fields matter, and the pictures that come out.

import { get, Refused } from "./api.js";
import { loadCaptioners, problemOf } from "./captioners.js";
import { all, one, say } from "./dom.js";
import { Form, showChanges } from "./fields.js";
import { fillListsIn } from "./lists.js";
import { remember } from "./memory.js";
import { Output } from "./output.js";
import { Runner } from "./run.js";
import { wireSends } from "./send.js";
import { readPicture } from "./reading.js";
import { Source } from "./source.js";
import { t } from "./words.js";

/** A job's pictures have sizes of their own, and their count is that of the pictures that went in. */
class ExtrasOutput extends Output {
  begin(id, { pictures }, more) {
    const stage = one("[data-stage]", document.querySelector('[data-panel="extras-output"]')).style;
    const [width, height] = ["--w", "--h"].map((side) => Number(stage.getPropertyValue(side)) || 512);
    super.begin(id, { width, height, batch_count: pictures.length, batch_size: 1 }, more);
  }
}

export class ExtrasTab {
  name = "extras";

  constructor(root, panel) {
    this.root = root;
    this.panel = panel;
    this.form = new Form(root);
    this.output = new ExtrasOutput(panel);
    this.source = new Source(one("[data-source]", root), () => this.#say(""));
    const run = one("[data-run]", root);
    const mine = ({ request }) => request.kind === "extras";
    this.runner = new Runner({ form: this.form, output: this.output, panel, run, mine, order: () => this.#order() });
    one("[data-idle-text]", panel).textContent = "Choose a picture and an upscaler, then press Generate.";
    fillListsIn(root);
    showChanges(this.form, root);
    this.form.onChange(() => this.#relevant());
    this.#relevant();
  }

  async open() {
    await remember(this.form, this.name);
    wireSends(this.panel, () => this.parcel(), (error) => this.#say(error.message));
    await this.#faces();
    await loadCaptioners();
    this.#captioner();
  }

  get isInSight() {
    return this.root.offsetParent !== null;
  }

  async parcel() {
    const blob = await (await fetch(this.output.source)).blob();
    return { blob, reading: await readPicture(blob) };
  }

  #say(sentence) {
    say(one("[data-run-problem]", this.root), sentence);
  }

  async #order() {
    if (!this.source.count) throw new Refused("Choose a picture to work on first.");
    const values = this.form.values();
    if (!does(values)) throw new Refused("Nothing is chosen that would be done with the picture: choose an upscaler or a caption.", "upscaler_1");
    const { pictures, names, texts } = await this.source.keep((done, count) => this.#say(t("Sending picture {index} of {total}", { index: done + 1, total: count })));
    this.#say("");
    return { kind: "extras", ...values, pictures, names, texts };
  }

  // Fields that have no effect now step back.
  #relevant() {
    const by = this.form.get("resize_mode") === "Scale by";
    const second = this.form.get("upscaler_2") !== "None";
    const shown = { scale: by, width: !by, height: !by, crop: !by, upscaler_2_visibility: second };
    for (const [name, on] of Object.entries(shown)) this.form.field(name).element.hidden = !on;
    this.#captioner();
  }

  // Whoever is to describe the pictures may need a model's files first.
  #captioner() {
    const [first, second] = ["captioner", "captioner_2"].map((name) => this.form.get(name));
    this.form.field("captioner_2").element.hidden = first === "None" && second === "None";
    say(one("[data-no-captioner]", this.root), problemOf(first) || problemOf(second));
  }

  // Face restoration needs a model's file; without one its fields say where it belongs.
  async #faces() {
    const { face_restorers: found = [] } = await get("upscalers").catch(() => ({}));
    for (const element of all('[data-section="faces"] [data-knob]', this.root)) {
      const kind = element.dataset.knob.startsWith("gfpgan") ? "GFPGAN" : "CodeFormer";
      const there = found.includes(kind);
      all("input", element).forEach((input) => (input.disabled = !there));
      element.classList.toggle("off", !there);
    }
    const missing = ["GFPGAN", "CodeFormer"].filter((kind) => !found.includes(kind));
    const folders = { GFPGAN: "models/GFPGAN", CodeFormer: "models/Codeformer" };
    const sentence = `There is no file of ${missing.join(" or ")} here: put it into ${missing.map((kind) => folders[kind]).join(" or ")}.`;
    say(one("[data-no-faces]", this.root), missing.length ? sentence : "");
  }
}

const does = (values) =>
  values.upscaler_1 !== "None" || values.upscaler_2 !== "None" || values.gfpgan_visibility > 0 || values.codeformer_visibility > 0 || values.captioner !== "None" || values.captioner_2 !== "None";
