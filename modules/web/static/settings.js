// The Settings tab: drawn from the declarations that the server sends; a change is sent as soon as it is made.

import { address, call, get, post } from "./api.js";
import { action, later, make, one, say } from "./dom.js";
import { mine, showTheme } from "./mine.js";
import { AFTERWARDS, QUESTIONS } from "./setting-actions.js";
import { Setting } from "./setting-row.js";
import { t } from "./words.js";

export class SettingsTab {
  #root;
  #rows = new Map();
  #sections = [];
  #sure = null;

  constructor(root) {
    this.#root = root;
    const again = () => this.#filter();
    one("[data-settings-search]", root).addEventListener("input", later(again, 80));
    one("[data-settings-changed]", root).addEventListener("change", again);
    action("export-settings", root).href = address("settings/export");
    action("restore-settings", root).addEventListener("click", () => this.#restoreAll());
    this.#wireImport();
    const look = async () => this.#show(await get("settings"));
    addEventListener("webui-toggle-theme", later(() => look().catch(() => {}), 500)); // the button in the top bar
  }

  async load() {
    try {
      const answer = await get("settings");
      this.#draw(answer);
      this.#say(answer.notices.join(" "));
    } catch (refused) {
      this.#say(refused.message);
    }
    this.#root.dataset.ready = "";
  }

  #say(text) {
    say(one("[data-settings-said]", this.#root), text);
  }

  #draw(answer) {
    const sections = [
      { name: "mine", title: "Yours", help: "For you alone, on every device where you are known.", settings: answer.mine },
      ...answer.sections,
    ];
    this.#rows.clear();
    this.#sections = sections.map((section) => this.#section(section));
    one("[data-settings-list]", this.#root).replaceChildren(...this.#sections.map(({ element }) => element), this.#none());
    one("[data-settings-nav]", this.#root).replaceChildren(...this.#sections.map(({ link }) => link));
    if (answer.file) this.#sections.at(-1).element.append(make("p", { className: "help", textContent: t("Kept in {file}.", answer) }));
    this.#show(answer);
  }

  #none() {
    return make("p", { className: "hint settings-none", hidden: true, textContent: "No setting is called so." });
  }

  #section({ name, title, help, settings }) {
    const id = `settings-${name}`;
    const heading = make("h2", { id, textContent: title, tabIndex: -1 });
    const element = make("section", { className: "settings-section" }, heading);
    element.setAttribute("aria-labelledby", id);
    if (help) element.append(make("p", { className: "help", textContent: help }));
    const rows = settings.map((facts) => this.#row(name === "mine", facts));
    element.append(...rows.map((row) => row.element));
    const link = make("button", { type: "button", textContent: title });
    link.addEventListener("click", () => {
      heading.scrollIntoView({ block: "start" });
      heading.focus({ preventScroll: true });
    });
    return { element, link, rows };
  }

  #row(isMine, facts) {
    const row = new Setting(facts, isMine, (value) => this.#change(row, value));
    this.#rows.set(row.key, row);
    return row;
  }

  // The server answers with all settings: what one change does to others is seen as well.
  async #change(row, value) {
    this.#say("");
    const objection = await QUESTIONS[row.key]?.(value);
    if (objection) {
      row.takeBack();
      return row.blame(objection);
    }
    const path = row.isMine ? "settings/mine" : "settings";
    try {
      const answer = await call("PATCH", path, { values: { [row.name]: value } });
      row.blame("");
      this.#show(answer);
      if (row.waits) this.#say(t("{label} is kept; it counts after a restart.", row));
    } catch (refused) {
      row.blame(refused.message);
      return;
    }
    if (row.name === "theme" || row.name === "language") await this.#recolour();
    else if (row.isMine) await mine.reload();
    AFTERWARDS[row.key]?.(value);
  }

  #show(answer) {
    for (const facts of answer.mine) this.#rows.get(`mine.${facts.name}`)?.show(facts);
    for (const facts of answer.sections.flatMap(({ settings }) => settings)) this.#rows.get(facts.name)?.show(facts);
    this.#filter();
  }

  // The forms' defaults are read again as well.
  async #recolour() {
    await mine.reload();
    showTheme(mine.settings.theme);
  }

  #filter() {
    const words = one("[data-settings-search]", this.#root).value.toLowerCase().split(/\s+/).filter(Boolean);
    const changed = one("[data-settings-changed]", this.#root).checked;
    let some = false;
    for (const { element, link, rows } of this.#sections) {
      for (const row of rows) row.element.hidden = (changed && !row.isChanged) || !words.every((word) => row.text.includes(word));
      const seen = rows.some((row) => !row.element.hidden);
      element.hidden = link.hidden = !seen;
      some ||= seen;
    }
    one(".settings-none", this.#root).hidden = some;
  }

  // Asks once more in the button itself.
  async #restoreAll() {
    const button = action("restore-settings", this.#root);
    const label = one("span", button);
    if (!this.#sure) {
      label.textContent = "Yes, restore all";
      this.#sure = setTimeout(() => this.#calm(label), 5000);
      return;
    }
    clearTimeout(this.#sure);
    this.#calm(label);
    const own = [...this.#rows.values()].filter((row) => row.isMine);
    try {
      const values = Object.fromEntries(own.map((row) => [row.name, null]));
      let answer = await call("PATCH", "settings/mine", { values });
      if (answer.may_change) answer = await post("settings/restore");
      for (const row of this.#rows.values()) row.blame("");
      this.#show(answer);
      await this.#recolour();
      this.#say("Everything is at its default.");
    } catch (refused) {
      this.#say(refused.message);
    }
  }

  #calm(label) {
    label.textContent = "Restore all";
    this.#sure = null;
  }

  #wireImport() {
    const file = one("[data-settings-file]", this.#root);
    action("import-settings", this.#root).addEventListener("click", () => file.click());
    file.addEventListener("change", async () => {
      const [chosen] = file.files;
      if (chosen) await this.#import(chosen);
      file.value = "";
    });
  }

  async #import(file) {
    this.#say("");
    try {
      const content = JSON.parse(await file.text());
      const report = await post("settings/import", content);
      await this.load();
      await this.#recolour();
      this.#report(file.name, report);
    } catch (error) {
      this.#say(error instanceof SyntaxError ? t("{name} is no JSON file.", { name: file.name }) : error.message);
    }
  }

  #report(name, { taken, left }) {
    const box = one("[data-settings-report]", this.#root);
    const close = make("button", { type: "button", className: "quiet", textContent: "Close" });
    close.addEventListener("click", () => {
      box.hidden = true;
      action("import-settings", this.#root).focus();
    });
    const lists = [
      [t("Taken over ({n})", { n: taken.length }), taken.map(({ key, what }) => [key, what]), true],
      [t("Left ({n})", { n: left.length }), left.map(({ key, reason }) => [key, reason]), !taken.length],
    ];
    box.replaceChildren(make("h2", { translate: false, textContent: name }), ...lists.map((list) => lines(...list)), close);
    box.hidden = false;
    box.focus();
  }
}

function lines(title, pairs, open) {
  const items = pairs.map(([key, words]) => make("li", {}, make("code", { textContent: key }), ` ${words}`));
  return make("details", { open }, make("summary", { textContent: title }), make("ul", {}, ...items));
}
