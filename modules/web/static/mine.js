// What this person has set for themselves: the theme, the forms' defaults, presets. Asked for once, changed here.

import { call, get } from "./api.js";

const listeners = [];
let asked = null;

export const mine = {
  settings: {},
  changed: [], // names of the settings that are this person's own
  forms: {},
  presets: [],

  /** Ask the server, once; without an answer everything is as the program has it. */
  load() {
    asked ??= get("settings/mine")
      .then(take)
      .catch(() => {});
    return asked;
  },

  /** Ask again: something else has changed it. */
  reload() {
    asked = null;
    return this.load();
  },

  /** Call `listener()` after every change. */
  onChange(listener) {
    listeners.push(listener);
  },

  /** Make `values` the defaults of a form; {} is back to the program's. */
  async setDefault(form, values) {
    take(await call("PUT", `settings/forms?form=${encodeURIComponent(form)}`, { values }));
  },

  async savePreset(preset) {
    take(await call("PUT", "settings/presets", preset));
  },

  async deletePreset({ name, form }) {
    await call("DELETE", `settings/presets?${new URLSearchParams({ name, form })}`);
    await this.reload();
  },

  /** Keep the theme that was chosen with the button in the top bar; null is everybody's. */
  keepTheme(theme) {
    this.settings.theme = theme;
    call("PATCH", "settings/mine", { values: { theme } }).catch(() => {});
  },
};

function take({ settings, changed, forms, presets }) {
  Object.assign(mine, { settings, changed, forms, presets });
  if (changed.includes("theme")) showTheme(settings.theme);
  else dispatchEvent(new CustomEvent("webui-everybodys-theme", { detail: settings.theme }));
  for (const listener of listeners) listener();
}

/** The page in the colours of a theme. */
export function showTheme(theme) {
  dispatchEvent(new CustomEvent("webui-theme", { detail: theme }));
}
