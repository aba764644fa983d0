// All about one file: its picture, what its maker and its user say of it, trigger words, and what is inside. For an
// embedding that is every vector: how long it is, and which words of the vocabulary are nearest.

import { call, get, post } from "./api.js";
import { all, make, one } from "./dom.js";
import { picture } from "./cards.js";
import { KINDS, names } from "./names.js";
import { tagOf } from "./tags.js";
import { date, t } from "./words.js";

const NOTES = [
  ["description", "Description", "textarea", "Shown on the card."],
  ["trigger", "Trigger words", "text", "Put into the prompt together with the tag."],
  ["negative", "Negative words", "text", "Put into the negative prompt together with the tag."],
  ["weight", "Weight", "number", "The weight of the tag that a click inserts."],
  ["vae", "VAE", "text", "A file of models/VAE that this checkpoint is used with where the VAE is Automatic; None is its own."],
  ["notes", "Notes", "textarea", "For yourself."],
];
const FIELDS_OF = {
  embedding: ["description", "notes"],
  checkpoint: ["description", "vae", "notes"],
  hypernet: ["description", "trigger", "weight", "notes"],
  lora: ["description", "trigger", "negative", "weight", "notes"],
};
const OTHERS = ["description", "notes"]; // of all other kinds
const USUAL_NORM = 0.4; // about what the vocabulary's own vectors of SD1 have

export class Details {
  #dialog;
  #cards;
  #entry = null;

  constructor(dialog, cards) {
    this.#dialog = dialog;
    this.#cards = cards;
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation());
  }

  /** Show what is known at once, and the rest when the server has read the file. */
  async open(entry) {
    this.#entry = entry;
    this.#dialog.setAttribute("aria-label", `About ${entry.name}`);
    this.#dialog.replaceChildren(this.#head(entry), this.#body(entry));
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    const more = one("[data-more]", this.#dialog);
    try {
      const told = await get(`networks/details?${where(entry)}`);
      if (this.#entry === entry) more.replaceChildren(...this.#inside(entry, told));
    } catch (refused) {
      if (this.#entry === entry) more.replaceChildren(make("p", { className: "hint", textContent: refused.message }));
    }
  }

  #head(entry) {
    const close = make("button", { type: "button", className: "tool", textContent: "×", title: "Close" });
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => this.#dialog.close());
    const title = make("h2", { translate: false, textContent: entry.title || entry.name });
    return make("header", { className: "details-head" }, title, close);
  }

  #body(entry) {
    const body = make("div", { className: "details-body" });
    const side = make("div", { className: "details-side" }, picture(entry), this.#actions(entry));
    const main = make("div", { className: "details-main" }, facts(entry, this.#cards.kind?.(entry) ?? KINDS[entry.kind].one));
    if (entry.problem) main.prepend(make("p", { className: "problem", textContent: entry.problem }));
    main.append(this.#notes(entry), make("div", { className: "details-more" }, make("p", { className: "hint", textContent: "Reading the file …" })));
    main.lastChild.dataset.more = "";
    body.append(side, main);
    return body;
  }

  #actions(entry) {
    if (this.#cards.actions) return make("div", { className: "details-actions" }, ...this.#cards.actions(entry), ...this.#replacing(entry));
    const use = make("button", { type: "button", className: "primary small", textContent: entry.kind === "checkpoint" ? "Select it" : "Put into the prompt" });
    use.disabled = Boolean(entry.problem);
    use.addEventListener("click", () => {
      this.#cards.use(entry);
      this.#dialog.close();
    });
    const actions = make("div", { className: "details-actions" }, use);
    if (entry.kind !== "checkpoint") actions.append(make("code", { textContent: tagOf(entry) }));
    actions.append(...this.#replacing(entry));
    return actions;
  }

  // Another preview: the finished picture that is in sight beside the cards, or a file.
  #replacing(entry) {
    const state = make("span", { className: "hint" });
    state.setAttribute("role", "status");
    const replace = async (blob) => {
      const form = new FormData();
      form.append("file", blob, "preview");
      try {
        Object.assign(entry, await call("PUT", `networks/preview?${where(entry)}`, form));
        one(".card-picture", this.#dialog).replaceWith(picture(entry));
        state.textContent = "Replaced.";
        names.loadNetworks();
      } catch (refused) {
        state.textContent = refused.message;
      }
    };
    const shown = all('[data-stage][data-state="done"] [data-picture]').find((image) => image.offsetParent);
    const button = make("button", { type: "button", className: "second small owner-only", textContent: "Use the picture shown" });
    button.disabled = !shown;
    button.title = shown ? "Make the picture shown beside the cards this file's preview" : "Draw a picture first";
    button.addEventListener("click", async () => replace(await (await fetch(shown.src)).blob()));
    const file = make("input", { type: "file", accept: "image/*" });
    file.setAttribute("aria-label", "Use a picture file as the preview");
    file.addEventListener("change", () => file.files[0] && replace(file.files[0]));
    return [button, make("label", { className: "tool wide chooser owner-only" }, make("span", { textContent: "Use a file" }), file), state];
  }

  #notes(entry) {
    const form = make("form", { className: "details-notes" });
    for (const [name, label, kind, help] of NOTES) if ((FIELDS_OF[entry.kind] ?? OTHERS).includes(name)) form.append(noteField(entry, name, label, kind, help));
    const save = make("button", { type: "submit", className: "second small owner-only", textContent: "Save" });
    const state = make("span", { className: "hint" });
    state.setAttribute("role", "status");
    form.append(make("div", { className: "details-save" }, save, state));
    if (document.documentElement.dataset.role === "user") {
      for (const field of all("input, textarea", form)) field.readOnly = true;
      state.textContent = "The owner of this machine writes these.";
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(entry, form, state);
    });
    return form;
  }

  async #save(entry, form, state) {
    const values = Object.fromEntries(new FormData(form));
    if ("weight" in values) values.weight = Number(values.weight) || null;
    try {
      await call("PUT", `networks/note?${where(entry)}`, values);
      Object.assign(entry, values, { words: undefined });
      state.textContent = "Saved.";
    } catch (refused) {
      state.textContent = refused.message;
    }
  }

  #inside(entry, told) {
    const parts = [];
    if (told.vectors?.length) parts.push(vectorTable(told));
    if (told.convertible) parts.push(this.#convert(entry));
    if (told.tags?.length) parts.push(this.#tags(told.tags));
    const metadata = Object.entries(told.metadata ?? {});
    if (metadata.length) parts.push(metadataTable(metadata));
    if (!parts.length) parts.push(make("p", { className: "hint", textContent: "The file says nothing more about itself." }));
    return parts;
  }

  #tags(tags) {
    const row = make("p", { className: "tag-row" });
    for (const [word, count] of tags.slice(0, 60)) {
      const button = make("button", { type: "button", className: "tag", title: t("In {n} of its training pictures; a click adds it to the prompt", { n: count }) });
      button.append(make("span", { translate: false, textContent: word }), make("small", { textContent: count }));
      button.addEventListener("click", () => this.#cards.addWords(word));
      row.append(button);
    }
    return section("Words of its training pictures", row);
  }

  #convert(entry) {
    const button = make("button", { type: "button", className: "second small owner-only", textContent: "Convert to .safetensors" });
    const state = make("span", { className: "hint", textContent: "A pickle is read with care here, but not everywhere. The old file stays." });
    state.setAttribute("role", "status");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const { name } = await post(`networks/convert?${where(entry)}`);
        state.textContent = `Written as ${name}.`;
        await names.loadNetworks(true);
      } catch (refused) {
        state.textContent = refused.message;
        button.disabled = false;
      }
    });
    return make("div", { className: "details-save" }, button, state);
  }
}

const where = ({ kind, path }) => new URLSearchParams({ kind, path });

function noteField(entry, name, label, kind, help) {
  const id = `note-${name}`;
  const input = kind === "textarea" ? make("textarea", { rows: 2 }) : make("input", { type: kind, step: "any" });
  Object.assign(input, { id, name, value: entry[name] ?? "", autocomplete: "off", title: help });
  if (kind === "number") input.placeholder = "1";
  return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: label, title: help }), make("div", { className: "control" }, input));
}

function facts(entry, kind) {
  const list = make("dl", { className: "details-facts" });
  const pairs = [
    ["Kind", kind],
    ["File", entry.path, false],
    ["Model family", entry.family],
    ["Trained on", entry.base, false],
    ["Vectors", entry.vectors ? t("{n} of {width} numbers", { n: entry.vectors, width: entry.width }) : ""],
    ["Steps", entry.step],
    ["Size", size(entry.size)],
    ["Changed", entry.mtime ? date(new Date(entry.mtime * 1000), { dateStyle: "medium", timeStyle: "short" }) : ""],
    ["Hash", entry.hash, false],
    ["SHA256", entry.sha256, false],
  ];
  for (const [name, value, translate = true] of pairs) {
    if (value) list.append(make("div", {}, make("dt", { textContent: name }), make("dd", { translate, textContent: value })));
  }
  return list;
}

/** Bytes as people say them. */
export function size(bytes) {
  if (!bytes) return "";
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 2 ** (10 * power)).toFixed(power ? 1 : 0)} ${units[power]}`;
}

function section(title, ...inside) {
  return make("section", {}, make("h3", { textContent: title }), ...inside);
}

function vectorTable({ vectors, usual_norm: usual = USUAL_NORM }) {
  const most = Math.max(usual * 2, ...vectors.map(({ norm }) => norm));
  const table = make("table", { className: "vectors" });
  const head = table.createTHead().insertRow();
  for (const words of ["Vector", "Norm", "Nearest words"]) head.append(make("th", { textContent: words, scope: "col" }));
  const body = table.createTBody();
  vectors.forEach(({ norm, words }, index) => {
    const row = body.insertRow();
    const bar = make("span", { className: "norm" }, make("i"));
    bar.style.setProperty("--share", `${(100 * norm) / most}%`);
    bar.style.setProperty("--usual", `${(100 * usual) / most}%`);
    row.insertCell().textContent = index + 1;
    row.insertCell().append(make("b", { textContent: norm.toFixed(2) }), bar);
    const cell = row.insertCell();
    for (const { word, similarity } of words) cell.append(make("span", { className: "near", title: t("Likeness {n}", { n: similarity.toFixed(2) }) }, make("span", { translate: false, textContent: word })), " ");
    if (!words.length) cell.textContent = "—";
  });
  const note = make("p", { className: "hint", textContent: t("The mark on each bar is the usual norm of a word, {n}.", { n: usual.toFixed(2) }) });
  return section("Vectors", table, note);
}

function metadataTable(pairs) {
  const list = make("dl", { className: "metadata", translate: false });
  for (const [name, value] of pairs.sort()) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    list.append(make("dt", { textContent: name }), make("dd", { textContent: text.length > 2000 ? `${text.slice(0, 2000)}…` : text }));
  }
  return make("details", { className: "section" }, make("summary", {}, make("span", { textContent: t("Metadata ({n})", { n: pairs.length }) })), list);
}

