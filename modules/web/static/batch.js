// img2img over many pictures: one request each, all with the same seed.

import { Refused } from "./api.js";
import { one } from "./dom.js";
import { Source } from "./source.js";
import { t } from "./words.js";

export const WITHOUT_MASK = { inpaint: null, soft_inpaint: null };

const SEEDS = 4294967294;
const stem = (name) => name.replace(/\.\w+$/, "");

export class Batch {
  #pictures;
  #masks;
  #say;

  constructor(root, say) {
    this.#say = say;
    this.#pictures = new Source(one('[data-source="pictures"]', root), () => {});
    this.#masks = new Source(one('[data-source="masks"]', root), () => root.dispatchEvent(new Event("masks")));
  }

  get hasMasks() {
    return this.#masks.count > 0;
  }

  /** A request for each picture. `sizeOf({width, height})` gives the size of its result. Throws `Refused`. */
  async order(values, ownWords, sizeOf) {
    if (!this.#pictures.count) throw new Refused("Choose the pictures or the folder to work on first.");
    const told = (words) => (done, count) => this.#say(t(words, { index: done + 1, total: count }));
    const pictures = await this.#pictures.keep(told("Sending picture {index} of {total}"));
    const masks = this.hasMasks ? await this.#masks.keep(told("Sending mask {index} of {total}")) : null;
    const seed = values.seed === -1 ? Math.floor(Math.random() * SEEDS) : values.seed;
    const requests = [];
    for (const [index, reading] of pictures.readings.entries()) {
      const mask = masks && maskFor(pictures.names[index], masks);
      if (masks && !mask) continue; // as A1111 does: a picture without its mask is left out
      const [width, height] = reading ? sizeOf(reading) : [values.width, values.height];
      const words = ownWords && reading?.request ? withOwn(values, reading) : {};
      const image = { ...values.image, picture: pictures.pictures[index] };
      const masked = mask ? { inpaint: { ...values.inpaint, mask } } : WITHOUT_MASK;
      requests.push({ ...values, seed, width, height, ...words, image, ...masked });
    }
    this.#say("");
    if (!requests.length) throw new Refused("No mask has the name of one of the pictures.");
    return requests;
  }
}

/** The mask of that picture's name; a single mask is for all. */
function maskFor(name, { names, pictures }) {
  if (pictures.length === 1) return pictures[0];
  const index = names.findIndex((mask) => stem(mask) === stem(name));
  return index < 0 ? null : pictures[index];
}

/** Prompts are added; what decides the picture otherwise is the picture's own. */
function withOwn(values, { request: made, prompts }) {
  const { seed, cfg_scale, sampler, scheduler, steps, checkpoint } = made;
  const joined = (name) => [values[name], prompts[name]].filter(Boolean).join(" ");
  const words = { prompt: joined("prompt"), negative_prompt: joined("negative_prompt") };
  return { ...words, seed, cfg_scale, sampler, scheduler, steps, checkpoint };
}
