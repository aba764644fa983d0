// A model of the Models tab is used for the next picture: a checkpoint is selected, all else goes into txt2img's prompt.

import { selectCheckpoint } from "./cards.js";
import { one, openTab } from "./dom.js";
import { findTag, toggleTag, toggleWords } from "./tags.js";
import { promptBox } from "./textbox.js";

/** Use a file, or (without one) put words into the prompt. */
export function useModel(file, words = "") {
  if (file?.kind === "checkpoint") return selectCheckpoint(file);
  const form = one('form[data-panel="txt2img"]');
  openTab("tab-txt2img");
  const box = promptBox("prompt", form);
  if (!file) toggleWords(box, words, true);
  else if (!findTag(box.value, file)) toggleTag(box, file);
}
