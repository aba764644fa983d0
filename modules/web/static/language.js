// The list of languages in the top bar. What is chosen is kept for the person, on every device where they are known.

import { call } from "./api.js";
import { one } from "./dom.js";
import { mine } from "./mine.js";
import { changeLanguage, language, languages } from "./translate.js";

/** What a language calls itself. */
function nameOf(tag) {
  const name = new Intl.DisplayNames([tag], { type: "language", languageDisplay: "standard" }).of(tag) ?? tag;
  return name.charAt(0).toLocaleUpperCase(tag) + name.slice(1);
}

export const languageOption = (tag) => Object.assign(new Option(nameOf(tag), tag), { lang: tag, translate: false });

export function wireLanguage(bar) {
  const select = one("[data-language]", bar);
  for (const tag of languages) select.add(languageOption(tag));
  const show = () => (select.value = mine.settings.language ?? "browser");
  mine.onChange(() => {
    const changed = select.value !== (mine.settings.language ?? "browser");
    show();
    if (changed && (select.value === "browser" || select.value !== language())) changeLanguage().catch(() => {});
  });
  select.addEventListener("change", async () => {
    await call("PATCH", "settings/mine", { values: { language: select.value } });
    await mine.reload();
    await changeLanguage();
  });
}
