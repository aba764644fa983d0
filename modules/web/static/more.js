// The parts of the page beside the tabs that draw: the cards, Extras, the merger.

import { get, post } from "./api.js";
import { action, openTab, panel } from "./dom.js";
import { loadCaptioners } from "./captioners.js";
import { Cards } from "./cards.js";
import { ExtensionsTab } from "./extensions.js";
import { ExtrasTab } from "./extras.js";
import { Gallery } from "./gallery.js";
import { fillLists } from "./lists.js";
import { MergerTab } from "./merger.js";
import { ModelsTab } from "./models.js";
import { useModel } from "./models-use.js";
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
  const gallery = panel("gallery").then(wireGallery);
  panel("models").then((root) => new ModelsTab(root, (words) => findPictures(gallery, words), useModel).load());
  panel("extensions").then((root) => new ExtensionsTab(root).load());
  panel("settings").then((root) => new SettingsTab(root).load());
  panel("cards").then((root) => wireCards(new Cards(root)));
  names.load();
  loadUpscalers();
  loadCaptioners();
  addEventListener("webui-models-changed", () => loadUpscalers());
  // The button in the top bar looks for every kind of file.
  panel("topbar").then((bar) => action("refresh", bar).addEventListener("click", () => {
    loadUpscalers(true);
    loadCaptioners();
  }));
}

async function wireGallery(root) {
  const gallery = new Gallery(root);
  await gallery.load();
  root.dataset.ready = "";
  return gallery;
}

async function findPictures(gallery, words) {
  openTab("tab-gallery"); // Gradio draws it when it is opened
  (await gallery).find(words);
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
