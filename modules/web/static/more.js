// The parts of the page beside the tabs that draw: the cards, Extras, the merger.

import { get, post } from "./api.js";
import { action, openTab, panel } from "./dom.js";
import { Cards } from "./cards.js";
import { ExtensionsTab } from "./extensions.js";
import { ExtrasTab } from "./extras.js";
import { Gallery } from "./gallery.js";
import { fillLists } from "./lists.js";
import { MergerTab } from "./merger.js";
import { names } from "./names.js";
import { receive } from "./send.js";
import { SettingsTab } from "./settings.js";

/** Wire them, each as soon as Gradio has drawn it. `opened(name, build)` opens a tab: see app.js. */
export function wireMore(opened) {
  const extras = opened("extras", (root, output) => new ExtrasTab(root, output));
  opened("merge", (root, output, models) => new MergerTab(root, output, models));
  receive("extras", async ({ blob }) => {
    openTab("tab-extras");
    (await extras).source.use([blob]);
  });
  panel("gallery").then(wireGallery);
  panel("extensions").then((root) => new ExtensionsTab(root).load());
  panel("settings").then((root) => new SettingsTab(root).load());
  panel("cards").then((root) => wireCards(new Cards(root)));
  names.load();
  loadUpscalers();
  // The button in the top bar looks for every kind of file.
  panel("topbar").then((bar) => action("refresh", bar).addEventListener("click", () => loadUpscalers(true)));
}

async function wireGallery(root) {
  await new Gallery(root).load();
  root.dataset.ready = "";
}

async function loadUpscalers(again = false) {
  const { upscalers } = await (again ? post("upscalers/refresh") : get("upscalers")).catch(() => ({ upscalers: [] }));
  fillLists({ upscalers: () => upscalers.map(({ name }) => new Option(name, name)) });
}

// The Networks button of every tab, also of those that are drawn later.
function wireCards(cards) {
  document.addEventListener("click", ({ target }) => {
    const opener = target.closest?.('[data-action="cards"]');
    if (opener) cards.toggle(opener);
  });
  // It belongs to the prompt in sight.
  document.addEventListener("click", ({ target }) => target.closest?.('#tabs [role="tab"]') && cards.close(false));
}
