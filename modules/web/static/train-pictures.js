// Step 1 of the Train tab: which pictures, and what the doctor says of them.

import { action, all, later, make, one, say } from "./dom.js";
import { filesOf } from "./source.js";
import { Crop } from "./train-crop.js";
import { sentence } from "./train-set.js";
import { number, t } from "./words.js";

const SHOWN_OF_A_FINDING = 5;
const LONGEST_NAME = 40;
const SIZES = ["training_width", "training_height"];
const RELOAD_AFTER = 800; // milliseconds
const NARROW = "(max-width: 1024px)";

export class Pictures {
  #root;
  #set;
  #form;
  #crop;
  #only = null; // key of the finding whose pictures are shown
  #cells = new Map(); // id -> element

  constructor(root, set, form) {
    this.#root = one('[data-step="pictures"]', root);
    this.#set = set;
    this.#form = form;
    this.#crop = new Crop(one("[data-crop-dialog]", root), set, form);
    this.#wireAsk();
    this.#wireDrop();
    one("[data-doctor] details", this.#root).open = !matchMedia(NARROW).matches; // there the pictures come first
    set.onChange((typed) => typed || this.#draw());
    form.onChange((names) => names.includes("data_root") && this.#choose());
    const again = later(() => set.reload(), RELOAD_AFTER); // what is too small depends on the size
    form.onChange((names) => SIZES.some((name) => names.includes(name)) && again());
    this.#draw();
  }

  async #choose() {
    const name = this.#form.get("data_root");
    if (name === this.#set.name) return;
    this.#only = null;
    say(one("[data-refused]", this.#root), "");
    await this.#set.open(name);
  }

  // --- a new set, or a folder ---

  #wireAsk() {
    const line = one("[data-ask-line]", this.#root);
    const input = one("#train-ask", line);
    const ask = (kind, label, words) => {
      const again = !line.hidden && line.dataset.kind === kind;
      line.hidden = again;
      line.dataset.kind = kind;
      one("[data-ask-label]", line).textContent = label;
      one('[data-action="ask-done"] span', line).textContent = words;
      if (!again) input.focus();
    };
    const on = (name, work) => action(name, this.#root).addEventListener("click", work);
    on("new-set", () => ask("name", "Name of the new data set", "Create"));
    on("open-set", () => ask("path", "Path of a folder on the server", "Open"));
    on("undo-pictures", () => this.#change("undo", {}));
    on("ask-cancel", () => (line.hidden = true));
    const done = async () => {
      const text = input.value.trim();
      if (text && (await this.#create({ [line.dataset.kind]: text }))) {
        line.hidden = true;
        input.value = "";
      }
    };
    on("ask-done", done);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") line.hidden = true;
      if (event.key !== "Enter") return;
      event.preventDefault();
      done();
    });
  }

  async #create(wanted) {
    try {
      this.#form.fill({ data_root: await this.#set.create(wanted) });
      await this.#choose();
      return true;
    } catch (error) {
      this.#say(sentence(error), true);
      return false;
    }
  }

  // --- pictures in ---

  #wireDrop() {
    const area = one("[data-train-drop]", this.#root);
    for (const input of all("[data-choose]", area)) {
      input.addEventListener("change", () => {
        this.#take([...input.files]);
        input.value = "";
      });
    }
    // The whole step takes what is dropped: nobody should have to aim.
    const over = (event, inside) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      area.classList.toggle("over", inside);
    };
    this.#root.addEventListener("dragover", (event) => over(event, true));
    this.#root.addEventListener("dragleave", (event) => over(event, this.#root.contains(event.relatedTarget)));
    this.#root.addEventListener("drop", async (event) => {
      over(event, false);
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const files = entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files];
      this.#take(files, entries.find(({ isDirectory }) => isDirectory)?.name);
    });
  }

  async #take(files, folder = files[0]?.webkitRelativePath?.split("/")[0]) {
    if (!files.length) return;
    if (!this.#set.name && !(await this.#create({ name: nameFor(folder) }))) return;
    this.#upload(0);
    try {
      const { added, refused } = await this.#set.upload(files, (fraction) => this.#upload(fraction));
      this.#say([t("{n} files added.", { n: added }), refused.length && t("{n} files refused.", { n: refused.length })].filter(Boolean).join(" "), refused.length > 0);
      this.#showRefused(refused);
    } catch (error) {
      this.#say(sentence(error), true);
    } finally {
      this.#upload(null);
    }
  }

  #upload(fraction) {
    const bar = one("[data-upload]", this.#root);
    bar.hidden = fraction === null;
    bar.setAttribute("aria-valuenow", Math.round(100 * (fraction ?? 0)));
    bar.style.setProperty("--done", `${Math.max(4, 100 * (fraction ?? 0))}%`);
  }

  #showRefused(refused) {
    const list = one("[data-refused]", this.#root);
    list.hidden = !refused.length;
    list.replaceChildren(...refused.map(({ file, sentence: why }) => make("li", {}, make("b", { translate: false, textContent: file }), " ", make("span", { textContent: why }))));
  }

  #say(words, wrong = false) {
    const state = one("[data-set-state]", this.#root);
    state.textContent = words;
    state.classList.toggle("wrong", wrong);
  }

  // --- what is shown ---

  #draw() {
    const { info, pictures, used, problem } = this.#set;
    one("[data-train-drop]", this.#root).dataset.state = pictures.length ? "several" : "empty";
    if (problem) this.#say(problem, true);
    else this.#say(info ? stateOf(info, pictures, used) : "");
    const undo = action("undo-pictures", this.#root);
    undo.hidden = !this.#set.undoable;
    undo.title = this.#set.undoable ? t("Undo: {what}", { what: this.#set.undoable }) : "Nothing to undo";
    this.#drawPictures();
    this.#drawDoctor();
  }

  #drawPictures() {
    const finding = this.#only && this.#set.findings.find((one) => keyOf(one) === this.#only);
    if (!finding) this.#only = null;
    const shown = finding ? this.#set.pictures.filter(({ id }) => finding.ids.includes(id)) : this.#set.pictures;
    const fresh = new Map(shown.map((picture) => [picture.id, this.#cell(picture)]));
    this.#cells = fresh;
    one("[data-pictures]", this.#root).replaceChildren(...fresh.values());
  }

  // A cell that is there is used again: its picture does not flash.
  #cell(picture) {
    const cell = this.#cells.get(picture.id) ?? this.#makeCell(picture);
    const source = this.#set.thumbnail(picture);
    const image = one("img", cell);
    if (image.src !== source) image.src = source;
    const words = [picture.file, `${picture.width} × ${picture.height}`];
    if (picture.excluded) words.push("left out");
    if (picture.crop) words.push("cut by hand");
    if (picture.mask) words.push("with a mask");
    words.push(...(picture.problems ?? []).map(plain));
    const button = one("button", cell);
    button.title = words.join(" · ");
    button.ariaLabel = words.join(", ");
    button.classList.toggle("excluded", picture.excluded);
    button.classList.toggle("troubled", !picture.excluded && (picture.problems ?? []).length > 0);
    return cell;
  }

  #makeCell(picture) {
    const image = make("img", { alt: "", loading: "lazy", decoding: "async", width: 256, height: 256 });
    const button = make("button", { type: "button", className: "picture-cell" }, image);
    button.addEventListener("click", () => this.#crop.open(picture.id));
    const cell = make("div", {}, button);
    cell.setAttribute("role", "listitem");
    return cell;
  }

  #drawDoctor() {
    const { info, findings, pictures } = this.#set;
    const room = one("[data-doctor]", this.#root);
    room.hidden = !info || !pictures.length;
    one("[data-doctor-title]", room).textContent = findings.length ? "Worth a look" : "All is well";
    one("[data-doctor-count]", room).textContent = findings.length || "";
    const fine = make("p", { className: "hint", textContent: "The doctor has nothing to say about these pictures." });
    one("[data-findings]", room).replaceChildren(...(findings.length ? findings.map((finding) => this.#finding(finding)) : [fine]));
  }

  #finding(finding) {
    const { kind, sentence: words, ids, fix } = finding;
    const images = ids.slice(0, SHOWN_OF_A_FINDING).map((id) => this.#set.picture(id)).filter(Boolean);
    const row = make("div", { className: "finding-pictures" }, ...images.map((picture) => this.#small(picture)));
    if (ids.length > images.length && images.length) row.append(make("span", { textContent: `+ ${ids.length - images.length}` }));
    const tools = make("div", { className: "finding-tools" });
    if (fix) tools.append(this.#button(fix, "second small", () => this.#change("fix", { kind, ids })));
    const key = keyOf(finding);
    const showing = this.#only === key;
    const show = showing ? "Show all pictures" : "Show these";
    if (ids.length) {
      const toggle = this.#button(show, "quiet", () => {
        this.#only = showing ? null : key;
        this.#draw();
        this.#focusFinding(key);
      });
      toggle.setAttribute("aria-pressed", String(showing));
      toggle.dataset.show = key;
      tools.append(toggle);
    }
    return make("div", { className: "finding" }, make("p", { textContent: words }), row, tools);
  }

  #focusFinding(key) {
    one(`[data-show="${CSS.escape(key)}"]`, this.#root)?.focus();
  }

  #small(picture) {
    const image = make("img", { alt: "", loading: "lazy", src: this.#set.thumbnail(picture, 96) });
    const button = make("button", { type: "button", translate: false, title: picture.file, ariaLabel: picture.file }, image);
    button.addEventListener("click", () => this.#crop.open(picture.id));
    return button;
  }

  #button(words, className, work) {
    const button = make("button", { type: "button", className, textContent: words });
    button.addEventListener("click", work);
    return button;
  }

  async #change(what, body) {
    try {
      await this.#set.change(what, body);
    } catch (error) {
      this.#say(sentence(error), true);
    }
  }
}

function stateOf({ name, path, writable }, pictures, used) {
  const left = pictures.length - used.length;
  const words = [pictures.length ? t("{n} pictures to learn from", { n: number(used.length) }) : "There is no picture in it yet"];
  if (left) words.push(t("{n} left out", { n: left }));
  if (path && path !== name) words.push(path);
  if (writable === false) words.push("this folder cannot be written; captions are kept beside the program");
  return words.join(" · ");
}

const keyOf = ({ kind, ids }) => `${kind} ${ids[0] ?? ""}`;
const plain = (kind) => kind.replaceAll("_", " ");

/** A name for a set that is made by dropping pictures. */
function nameFor(folder) {
  const today = new Date();
  const date = [today.getFullYear(), today.getMonth() + 1, today.getDate()].map((part) => String(part).padStart(2, "0"));
  return (folder || `pictures ${date.join("-")}`).slice(0, LONGEST_NAME);
}
