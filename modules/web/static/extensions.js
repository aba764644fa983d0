// The Extensions tab: the list, on and off, what is needed and what went wrong.

import { get, post } from "./api.js";
import { make, one } from "./dom.js";
import { shown } from "./translate.js";
import { t } from "./words.js";

const SOURCES = { "built in": "comes with the program", folder: "folder", package: "installed package" };
const KINDS = { a1111: "A1111's manner", page: "page only" };

export class ExtensionsTab {
  #root;
  #list;

  constructor(root) {
    this.#root = root;
    this.#list = one("[data-extension-list]", root);
  }

  async load() {
    try {
      const answer = await get("extensions");
      this.#list.replaceChildren(...answer.extensions.map((entry) => this.#item(entry, answer)));
      this.#say(answer.extensions.length ? "" : "There is no extension yet.");
    } catch (refused) {
      this.#say(refused.message);
    }
    this.#root.dataset.ready = "";
  }

  #say(text) {
    one("[data-extensions-words]", this.#root).textContent = text;
  }

  #item(entry, rights) {
    const facts = [entry.version, SOURCES[entry.source], KINDS[entry.kind]].filter(Boolean).join(" · ");
    const item = make(
      "li",
      { className: "extension" },
      make("div", { className: "extension-head" }, make("h3", { textContent: entry.title }), make("span", { className: "extension-facts", textContent: facts })),
    );
    item.dataset.extension = entry.name;
    if (rights.may_switch) item.firstChild.append(this.#switch(entry));
    if (entry.description) item.append(make("p", { textContent: entry.description }));
    if (entry.registers.length) item.append(make("p", { className: "help", textContent: t("Adds: {names}.", { names: entry.registers.join(", ") }) }));
    for (const remark of entry.remarks) item.append(make("p", { className: "help", textContent: remark }));
    if (entry.restart) item.append(make("p", { className: "hint", textContent: "On from the next start of the program." }));
    if (entry.requirements.length) item.append(this.#needs(entry, rights));
    for (const problem of entry.problems ?? []) item.append(make("p", { className: "problem", textContent: problem.sentence }));
    if (entry.settings?.length) item.append(this.#settings(entry));
    return item;
  }

  #switch(entry) {
    const input = make("input", { type: "checkbox", checked: entry.on });
    input.setAttribute("role", "switch");
    input.setAttribute("aria-label", t("{title} is on", entry));
    input.addEventListener("change", () => this.#ask(entry, "switch", { on: input.checked }));
    return make("span", { className: "field switch extension-switch" }, input);
  }

  // What it needs beside the program; what is missing can be installed from the machine itself.
  #needs(entry, { may_install: mayInstall }) {
    const box = make("div", { className: "extension-needs" });
    box.append(make("p", { className: "help", textContent: t("Needs: {names}.", { names: entry.requirements.join(", ") }) }));
    if (!entry.missing.length) return box;
    box.append(make("p", { className: "hint", textContent: t("Not installed: {names}.", { names: entry.missing.join(", ") }) }));
    if (!mayInstall) {
      box.append(make("p", { className: "help", textContent: "It can be installed from the machine itself, while the program listens to no other." }));
      return box;
    }
    const button = make("button", { type: "button", className: "second small", textContent: "Install what is missing" });
    button.addEventListener("click", async () => {
      if (!confirm(shown(t("Install {names} into this program's environment? Packages are programs; take only what you trust.", { names: entry.missing.join(", ") })))) return;
      button.disabled = true;
      button.textContent = "Installing";
      await this.#ask(entry, "install");
    });
    box.append(button);
    return box;
  }

  #settings(entry) {
    const box = make("details", {}, make("summary", { textContent: "Settings" }));
    for (const setting of entry.settings) box.append(this.#setting(entry, setting));
    return box;
  }

  #setting(entry, { name, label, kind, value, choices }) {
    const input = choices
      ? make("select", {}, ...choices.map((choice) => new Option(choice, choice)))
      : make("input", { type: kind === "bool" ? "checkbox" : kind === "str" ? "text" : "number", step: "any" });
    if (kind === "bool") input.checked = value;
    else input.value = value ?? "";
    input.addEventListener("change", () => {
      const typed = kind === "bool" ? input.checked : ["int", "float"].includes(kind) ? Number(input.value) : input.value;
      post(`extensions/${entry.name}/settings`, { values: { [name]: typed } }).catch((refused) => this.#say(refused.message));
    });
    return make("label", { className: "extension-setting" }, make("span", { textContent: label }), input);
  }

  async #ask(entry, what, body) {
    try {
      await post(`extensions/${entry.name}/${what}`, body);
      await this.load();
      this.#say(what === "switch" ? "Kept. What is drawn from now on follows it; the page's parts follow after a restart." : "Installed. It takes effect at the next start.");
    } catch (refused) {
      await this.load();
      this.#say(refused.message);
    }
  }
}
