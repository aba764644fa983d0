// Styles: saved prompts that are put into the request by name. The row of those in use, and the menu to choose, save
// and delete them (with undo).

import { call } from "./api.js";
import { action, make, one, say } from "./dom.js";
import { names } from "./names.js";
import { shown } from "./translate.js";
import { sentence } from "./unknown.js";
import { t } from "./words.js";

/** The form's list of styles: a field without a knob (its values are names, not numbers or words). */
class StyleField {
  name = "styles";
  label = "Styles";
  default = [];
  #chosen = [];
  #drawn;

  constructor(drawn) {
    this.#drawn = drawn;
  }

  get value() {
    return this.#chosen;
  }

  set value(chosen) {
    this.#chosen = [...new Set(chosen ?? [])];
    this.#drawn();
  }

  get changed() {
    return this.#chosen.length > 0;
  }

  get shown() {
    return this.#chosen.join(", ");
  }

  blame() {}
}

export class Styles {
  #form;
  #root;
  #menu;
  #field;
  #opener;

  constructor(form, root) {
    this.#form = form;
    this.#root = root;
    this.#menu = one("[data-styles-menu]", root);
    this.#opener = action("styles", root);
    this.#field = new StyleField(() => this.#draw());
    form.adopt(this.#field);
    names.onChange(() => this.#draw());
    this.#wire();
  }

  #wire() {
    this.#opener.addEventListener("click", () => this.#menu.togglePopover());
    this.#menu.addEventListener("beforetoggle", (event) => event.newState === "open" && this.#place());
    this.#menu.addEventListener("toggle", (event) => event.newState === "open" && this.#opened());
    this.#search.addEventListener("input", () => this.#drawList());
    this.#nameBox.addEventListener("input", () => this.#saveWords());
    this.#nameBox.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#save();
    });
    action("save-style", this.#menu).addEventListener("click", () => this.#save());
  }

  get #search() {
    return one("[data-style-search]", this.#menu);
  }

  get #nameBox() {
    return one("[data-style-name]", this.#menu);
  }

  /** Put a style into use (or take it out). */
  use(name, on = true) {
    const others = this.#field.value.filter((other) => other !== name);
    this.#form.fill({ styles: on ? [...others, name] : others });
  }

  // Under its button, within the window.
  #place() {
    const { left, bottom } = this.#opener.getBoundingClientRect();
    const width = Math.min(420, innerWidth - 32);
    const height = Math.min(440, Math.max(innerHeight - bottom - 16, 280));
    this.#menu.style.width = `${width}px`;
    this.#menu.style.maxHeight = `${height}px`;
    this.#menu.style.left = `${Math.min(left, innerWidth - width - 16)}px`;
    this.#menu.style.top = `${Math.min(bottom + 4, innerHeight - height - 8)}px`;
  }

  #opened() {
    this.#search.value = "";
    this.#note("");
    this.#saveWords();
    this.#drawList();
    this.#search.focus();
    names.loadStyles(); // another program may have changed the file
  }

  #draw() {
    const chips = this.#field.value.map((name) => this.#chip(name));
    one("[data-chips]", this.#root).replaceChildren(...chips);
    if (this.#menu.matches(":popover-open")) this.#drawList();
  }

  #chip(name) {
    const remove = make("button", { type: "button", textContent: "×", title: t("Do not use {name}", { name }) });
    remove.setAttribute("aria-label", t("Do not use the style {name}", { name }));
    remove.addEventListener("click", () => this.use(name, false));
    const chip = make("li", { className: "chip" }, make("span", { translate: false, textContent: name }));
    if (!names.has("style", name)) this.#unknown(chip, name);
    chip.append(remove);
    return chip;
  }

  #unknown(chip, name) {
    const near = names.nearest("style", name);
    chip.classList.add("unknown");
    chip.title = near ? t("There is no style “{name}”; did you mean “{near}”?", { name, near }) : sentence({ name, kind: "style", near });
    if (!near) return;
    const mend = make("button", { type: "button", className: "mend", translate: false, textContent: `${near}?` });
    mend.setAttribute("aria-label", t("There is no style “{name}”. Use “{near}”", { name, near }));
    mend.addEventListener("click", () =>
      this.#form.fill({ styles: this.#field.value.map((other) => (other === name ? near : other)) }),
    );
    chip.append(mend);
  }

  #drawList() {
    const part = this.#search.value.trim().toLowerCase();
    const found = names.styles.filter(({ name }) => name.toLowerCase().includes(part));
    const list = one("[data-style-list]", this.#menu);
    const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
    list.replaceChildren(...found.map((style, index) => this.#row(style, index)));
    if (focused) document.getElementById(focused)?.focus();
    const none = names.styles.length ? t("No style has “{tag}” in its name.", { tag: part }) : "No styles yet: write a prompt, name it below and save it.";
    say(one("[data-style-empty]", this.#menu), found.length ? "" : none);
  }

  #row(style, index) {
    const id = `${this.#menu.id}-${index}`;
    const box = make("input", { type: "checkbox", id, checked: this.#field.value.includes(style.name) });
    box.addEventListener("change", () => this.use(style.name, box.checked));
    const words = [style.prompt, style.negative_prompt && shown(t("Negative: {prompt}", { prompt: style.negative_prompt }))].filter(Boolean).join(" · ");
    const label = make("label", { htmlFor: id, translate: false, title: words }, make("b", { textContent: style.name }));
    if (words) label.append(make("span", { textContent: words }));
    const write = this.#small("Write", t("Write the style {name} into the prompts", style), () => this.#write(style));
    const remove = this.#small("Delete", t("Delete the style {name}", style), () => this.#delete(style));
    remove.classList.add("owner-only");
    return make("li", {}, box, label, write, remove);
  }

  #small(words, name, work) {
    const button = make("button", { type: "button", className: "quiet", textContent: words, title: name });
    button.setAttribute("aria-label", name);
    button.addEventListener("click", work);
    return button;
  }

  // What the engine would put together is put into the boxes, where it can be edited.
  #write({ name, prompt, negative_prompt: negative }) {
    this.#form.fill({
      prompt: merged(this.#form.get("prompt"), prompt),
      negative_prompt: merged(this.#form.get("negative_prompt"), negative),
      styles: this.#field.value.filter((other) => other !== name),
    });
    this.#note(t("“{name}” is in the prompts now.", { name }));
  }

  #saveWords() {
    const known = names.has("style", this.#nameBox.value.trim());
    action("save-style", this.#menu).textContent = known ? "Replace it" : "Save both prompts";
  }

  async #save() {
    const name = this.#nameBox.value.trim();
    if (!name) return this.#nameBox.focus();
    const words = { prompt: this.#form.get("prompt"), negative_prompt: this.#form.get("negative_prompt") };
    if (await this.#ask(() => call("PUT", "styles", { name, ...words }))) {
      this.#nameBox.value = "";
      this.#saveWords();
      this.#note(t("“{name}” is saved.", { name }));
    }
  }

  async #delete(style) {
    const removed = await this.#ask(() => call("DELETE", `styles?name=${encodeURIComponent(style.name)}`));
    if (!removed) return;
    const undo = make("button", { type: "button", className: "quiet", textContent: "Undo" });
    undo.addEventListener("click", async () => {
      if (await this.#ask(() => call("PUT", "styles", removed))) this.#note(`“${style.name}” is back.`);
    });
    this.#note(`“${style.name}” is deleted. `);
    one("[data-style-note]", this.#menu).append(undo);
    undo.focus();
  }

  /** Let the server change the file; says why when it does not. */
  async #ask(work) {
    try {
      const answer = (await work()) ?? {};
      await names.loadStyles();
      return answer;
    } catch (refused) {
      this.#note(refused.message);
      return null;
    }
  }

  #note(words) {
    say(one("[data-style-note]", this.#menu), words);
  }
}

/** A1111's rule: `{prompt}` is where the text so far goes, else the style follows it. */
export function merged(text, style) {
  if (!style) return text;
  if (style.includes("{prompt}")) return style.replaceAll("{prompt}", () => text);
  return text.trim() ? `${text.trim()}, ${style}` : style;
}
