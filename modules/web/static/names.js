// What a prompt can name: embeddings, LoRA, hypernetworks and styles, and which name is the nearest to a wrong one.

import { get, post } from "./api.js";

export const KINDS = {
  embedding: { one: "embedding", many: "Embeddings" },
  lora: { one: "LoRA", many: "LoRA" },
  hypernet: { one: "hypernetwork", many: "Hypernetworks" },
  checkpoint: { one: "checkpoint", many: "Checkpoints" },
};

/** One list for all tabs; asked for once, again after a change, and when somebody presses refresh. */
class Names {
  #entries = [];
  #styles = [];
  #listeners = [];
  #known = new Map(); // kind -> lower-case names
  #loaded = false;
  problem = "";

  /** All network files: {kind, name, path, folder, ...}; see `networks.py`. */
  get entries() {
    return this.#entries;
  }

  get styles() {
    return this.#styles;
  }

  of(kind) {
    return this.#entries.filter((entry) => entry.kind === kind && !entry.hidden);
  }

  /** Is it known what there is? Before that nothing is called unknown. */
  get loaded() {
    return this.#loaded;
  }

  /** Does a file (or a style) of that kind answer to this name? */
  has(kind, name) {
    return this.#known.get(kind)?.has(name.toLowerCase()) ?? false;
  }

  spellings(kind) {
    return this.#known.get(kind) ?? new Set();
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  async load() {
    await Promise.all([this.loadNetworks(), this.loadStyles()]);
  }

  async loadNetworks(again = false) {
    try {
      const answer = again ? await post("networks/refresh") : await get("networks");
      this.#entries = answer.networks;
      this.problem = "";
      this.#loaded = true;
    } catch (refused) {
      this.problem = refused.message;
    }
    this.#tell();
  }

  async loadStyles() {
    try {
      this.useStyles(await get("styles"));
    } catch {
      this.useStyles([]);
    }
  }

  useStyles(styles) {
    this.#styles = styles;
    this.#tell();
  }

  #tell() {
    this.#known = new Map(Object.keys(KINDS).map((kind) => [kind, new Set()]));
    for (const { kind, name, alias } of this.#entries) {
      this.#known.get(kind)?.add(name.toLowerCase());
      if (alias) this.#known.get(kind)?.add(alias.toLowerCase());
    }
    this.#known.set("style", new Set(this.#styles.map(({ name }) => name.toLowerCase())));
    for (const listener of this.#listeners) listener();
  }

  /** The name of that kind that is most like `wrong`, in its own spelling; null when none is. */
  nearest(kind, wrong) {
    const pool = kind === "style" ? this.#styles : this.#entries.filter((entry) => entry.kind === kind);
    let best = null;
    let least = Math.max(2, Math.floor(wrong.length / 2)) + 1;
    for (const { name, alias } of pool) {
      for (const spelling of alias ? [name, alias] : [name]) {
        const steps = distance(wrong.toLowerCase(), spelling.toLowerCase(), least);
        if (steps < least) [best, least] = [spelling, steps];
      }
    }
    return best;
  }
}

export const names = new Names();

/** Letters to change, add, leave out or swap to get from `a` to `b`; `limit` where it is that many or more. */
export function distance(a, b, limit) {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let [before, last, row] = [[], [], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    [before, last, row] = [last, row, [i]];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    if (Math.min(...row) >= limit) return limit;
  }
  return Math.min(row[b.length], limit);
}
