// Step 2 of the Train tab: a caption a picture, typed beside it; tags changed in many at once.

import { address, post } from "./api.js";
import { loadCaptioners, saysTags } from "./captioners.js";
import { action, all, make, one, say } from "./dom.js";
import { fillListsIn } from "./lists.js";
import { inUnits } from "./marks.js";
import { sentence } from "./train-set.js";
import { t } from "./words.js";

const MOST_TAGS = 200;
const EDITS = {
  replace: { find: "Find", text: "Replace with" },
  add: { text: "Tag to add" },
  prepend: { text: "Tag to add" },
  remove: { find: "Tag to remove" },
};
const SOURCES = { txt: "from its text file", name: "from the file's name" };

export class Captions {
  #root;
  #set;
  #cells = new Map(); // id -> element
  #chosen = new Set(); // ids
  #job = null; // the job that writes captions
  #said = ""; // about saving
  #tag = null; // only pictures with it are shown
  #existing = false; // somebody said what becomes of captions that are there

  constructor(root, set) {
    this.#root = one('[data-step="captions"]', root);
    this.#set = set;
    this.#wireTools();
    one("[data-captions]", this.#root).addEventListener("keydown", (event) => this.#walk(event));
    set.onChange((typed) => (typed ? this.#typed(typed) : this.#draw()));
    this.#chooseEdit();
    this.#loadCaptioners();
  }

  // --- changes in many ---

  #wireTools() {
    const on = (name, work) => action(name, this.#root).addEventListener("click", work);
    on("edit-captions", () => this.#edit());
    on("undo-captions", () => this.#ask("undo", {}, ({ undone }) => t("Taken back: {undone}", { undone })));
    on("captioner", () => (this.#job ? this.#stopJob() : this.#describe()));
    on("select-all", () => this.#select(this.#shown.map(({ id }) => id)));
    on("select-empty", () => this.#select(this.#shown.filter((one) => !this.#set.captionOf(one).trim()).map(({ id }) => id)));
    on("select-none", () => this.#select([]));
    one("#edit-action", this.#root).addEventListener("change", () => this.#chooseEdit());
    for (const input of all("#edit-find, #edit-text", this.#root)) {
      input.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        this.#edit();
      });
    }
  }

  #chooseEdit() {
    const words = EDITS[one("#edit-action", this.#root).value];
    for (const name of ["find", "text"]) {
      const field = one(`[data-edit="edit-${name}"]`, this.#root);
      field.hidden = !words[name];
      one("input", field).placeholder = words[name] ?? "";
      one("label", field).textContent = words[name] ?? "";
    }
  }

  /** The pictures that were selected, or null: all. */
  get #ids() {
    return this.#chosen.size ? [...this.#chosen] : null;
  }

  async #edit() {
    const kind = one("#edit-action", this.#root).value;
    const [find, text] = ["find", "text"].map((name) => one(`#edit-${name}`, this.#root).value);
    const body = { action: kind, find: EDITS[kind].find ? find : "", text: EDITS[kind].text ? text : "", ids: this.#ids };
    if (!(EDITS[kind].find ? find : text).trim()) return one(EDITS[kind].find ? "#edit-find" : "#edit-text", this.#root).focus();
    await this.#ask("edit", body, ({ changed }) => t("{n} captions changed", { n: changed }));
  }

  async #ask(what, body, words) {
    say(one("[data-captions-problem]", this.#root), "");
    try {
      this.#saved(words(await this.#set.change(what, body)) ?? "");
    } catch (error) {
      say(one("[data-captions-problem]", this.#root), sentence(error));
    }
  }

  // --- captions by themselves ---

  async #loadCaptioners() {
    const select = one("#captioner", this.#root);
    select.addEventListener("change", () => this.#chooseCaptioner());
    one("#captioner-existing", this.#root).addEventListener("change", () => (this.#existing = true));
    const all = await loadCaptioners();
    fillListsIn(this.#root);
    select.value = (all.find(({ problem }) => !problem) ?? all[0])?.name ?? "";
    this.#chooseCaptioner();
  }

  #chooseCaptioner() {
    one("[data-captioner-threshold]", this.#root).hidden = !saysTags(one("#captioner", this.#root).value);
  }

  /** What is asked for beside the pictures; an empty threshold is as the settings have it. */
  get #manner() {
    const [captioner, existing] = ["#captioner", "#captioner-existing"].map((id) => one(id, this.#root).value);
    const threshold = one("#captioner-threshold", this.#root).value;
    const own = saysTags(captioner) && threshold !== "" ? { interrogate_deepbooru_score_threshold: Number(threshold) } : {};
    return { captioner: captioner || "BLIP", existing, ...own };
  }

  async #describe() {
    const ids = this.#ids ?? this.#set.used.map(({ id }) => id);
    say(one("[data-captions-problem]", this.#root), "");
    try {
      await this.#set.flush();
      const job = await post(`datasets/${encodeURIComponent(this.#set.name)}/captioner`, { ids, ...this.#manner });
      this.#follow(job.id);
    } catch (error) {
      say(one("[data-captions-problem]", this.#root), sentence(error));
    }
  }

  #follow(job) {
    this.#job = job;
    this.#saved("Waiting to look at the pictures");
    const stream = new EventSource(address(`jobs/${job}/events`));
    const end = (words, problem = "") => {
      stream.close();
      this.#job = null;
      this.#captionerWords("Write them automatically");
      say(one("[data-captions-problem]", this.#root), problem);
      this.#saved(words);
      this.#set.reload();
    };
    const handlers = {
      Progress: ({ step, steps, image, images }) => this.#saved(t("Looking at picture {image} of {images}", images > 1 ? { image, images } : { image: step, images: steps })),
      Failed: ({ message }) => end("", message),
      Finished: () => end("Captions written"),
    };
    stream.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      handlers[event.event]?.(event);
    };
    stream.onerror = () => stream.readyState === EventSource.CLOSED && end("");
    this.#captionerWords("Stop writing");
  }

  #captionerWords(words) {
    const button = action("captioner", this.#root);
    one("span", button).textContent = button.ariaLabel = button.title = words;
  }

  async #stopJob() {
    await post(`jobs/${this.#job}/interrupt`).catch(() => {});
  }

  #saved(words) {
    this.#said = words;
    one("[data-saved]", this.#root).textContent = words;
  }

  #select(ids) {
    this.#chosen = new Set(ids);
    for (const [id, cell] of this.#cells) one("input[type=checkbox]", cell).checked = this.#chosen.has(id);
    this.#drawScope();
  }

  // --- keys ---

  // Enter goes on to the next caption, with Shift to the one before: a caption is one line.
  #walk(event) {
    if (event.key !== "Enter" || event.isComposing || event.target.tagName !== "TEXTAREA") return;
    event.preventDefault();
    const boxes = all("textarea", this.#root);
    const next = boxes[boxes.indexOf(event.target) + (event.shiftKey ? -1 : 1)];
    next?.focus();
    next?.closest("[role=listitem]").scrollIntoView({ block: "nearest" });
  }

  // --- what is shown ---

  get #shown() {
    return this.#set.used.filter(({ tags, ...picture }) => !this.#tag || tagsOf(picture.caption).includes(this.#tag));
  }

  #typed(id) {
    const picture = this.#set.picture(id);
    if (this.#cells.has(id)) this.#mark(this.#cells.get(id), picture, this.#set.captionOf(picture));
    this.#saved("Saving");
    this.#drawScope();
  }

  #draw() {
    const known = new Set(this.#set.used.map(({ id }) => id));
    this.#chosen = new Set([...this.#chosen].filter((id) => known.has(id)));
    const tags = this.#set.info?.tags ?? [];
    if (!tags.some(({ tag }) => tag === this.#tag)) this.#tag = null;
    const shown = this.#shown;
    const fresh = new Map(shown.map((picture) => [picture.id, this.#cell(picture)]));
    const list = one("[data-captions]", this.#root);
    const same = fresh.size === this.#cells.size && [...fresh.keys()].every((id, at) => list.children[at] === fresh.get(id));
    this.#cells = fresh;
    if (!same) list.replaceChildren(...fresh.values()); // else the focus would be lost
    list.classList.toggle("none", !shown.length);
    const undo = action("undo-captions", this.#root);
    undo.disabled = !this.#set.undoable;
    undo.title = this.#set.undoable ? t("Undo: {what}", { what: this.#set.undoable }) : "Nothing to undo";
    this.#drawTags(tags);
    this.#drawScope();
    if (!this.#set.isSaved) this.#saved("Saving");
    else if (this.#said === "Saving") this.#saved("Saved");
    if (this.#set.problem) say(one("[data-captions-problem]", this.#root), this.#set.problem);
  }

  #drawScope() {
    const { size } = this.#chosen;
    if (!this.#existing) one("#captioner-existing", this.#root).value = size ? "Replace" : "Keep";
    const { length } = this.#set.used;
    const shown = this.#shown.length;
    const narrowed = this.#tag ? t("{shown} of {n} pictures have “{tag}”", { shown, n: length, tag: this.#tag }) : t("{captioned} of {n} pictures have a caption", { captioned: this.#set.captioned, n: length });
    one("[data-scope-words]", this.#root).textContent = size ? `${t("{n} selected", { n: size })} · ${narrowed}` : narrowed;
    action("select-none", this.#root).hidden = !size;
    one('[data-action="edit-captions"] span', this.#root).textContent = size ? t("Apply to {n}", { n: size }) : "Apply to all";
  }

  #cell(picture) {
    const cell = this.#cells.get(picture.id) ?? this.#makeCell(picture);
    const box = one("textarea", cell);
    const caption = this.#set.captionOf(picture);
    if (box.value !== caption) box.value = caption;
    this.#mark(cell, picture, caption);
    return cell;
  }

  #makeCell(picture) {
    const { id, file } = picture;
    const image = make("img", { alt: "", loading: "lazy", decoding: "async", src: this.#set.thumbnail(picture), width: 128, height: 128 });
    const tick = make("input", { type: "checkbox", ariaLabel: t("Select {file}", { file }), autocomplete: "off" });
    tick.addEventListener("change", () => {
      if (tick.checked) this.#chosen.add(id);
      else this.#chosen.delete(id);
      this.#drawScope();
    });
    const box = make("textarea", { rows: 4, spellcheck: false, autocomplete: "off", ariaLabel: t("Caption of {file}", { file }) });
    box.addEventListener("input", () => {
      const one = box.value.replace(/\s*\n\s*/g, " ");
      if (one !== box.value) box.value = one;
      this.#set.write(id, one);
    });
    const mirror = make("div", { className: "caption-mirror", translate: false, ariaHidden: "true" });
    box.addEventListener("scroll", () => (mirror.scrollTop = box.scrollTop));
    const note = make("p", { className: "caption-note", id: `caption-note-${id}` });
    box.setAttribute("aria-describedby", note.id);
    const paper = make("div", { className: "caption-paper" }, mirror, box);
    const label = make("label", { className: "caption-picture" }, tick, image);
    const cell = make("div", { className: "caption" }, label, make("div", { className: "caption-text" }, paper, note));
    cell.setAttribute("role", "listitem");
    return cell;
  }

  // What is beyond the tokens that are read is struck through, as it is not learned from.
  #mark(cell, { id, file, caption: kept, tokens, over, source }, caption) {
    const fresh = caption === kept; // the server's counts are of this text
    const cut = fresh && over !== null && over !== undefined ? inUnits(caption, [over])[0] : undefined;
    const mirror = one(".caption-mirror", cell);
    if (cut === undefined) mirror.replaceChildren();
    else mirror.replaceChildren(caption.slice(0, cut), make("s", { textContent: caption.slice(cut) }));
    const words = [file];
    if (fresh && caption && SOURCES[source]) words.push(SOURCES[source]);
    if (fresh && tokens) words.push(t("{n} tokens", { n: tokens }));
    if (cut !== undefined) words.push("too long: what is struck through is not read");
    const note = one(".caption-note", cell);
    note.textContent = words.join(" · ");
    note.classList.toggle("warning", cut !== undefined);
    cell.classList.toggle("empty", !caption.trim());
    one("input", cell).checked = this.#chosen.has(id);
  }

  #drawTags(tags) {
    const items = tags.slice(0, MOST_TAGS).map(({ tag, count }) => {
      const button = make("button", { type: "button", className: "tag" }, make("span", { translate: false, textContent: tag }), make("b", { textContent: count }));
      button.setAttribute("aria-pressed", String(tag === this.#tag));
      button.addEventListener("click", () => {
        this.#tag = tag === this.#tag ? null : tag;
        one("#edit-find", this.#root).value = this.#tag ?? "";
        this.#draw();
        all(".tag", this.#root).find((one) => one.firstChild.textContent === tag)?.focus();
      });
      return make("li", {}, button);
    });
    one("[data-tags]", this.#root).replaceChildren(...items);
  }
}

const tagsOf = (caption) => caption.split(",").map((tag) => tag.trim()).filter(Boolean);
