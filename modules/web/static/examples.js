// Examples that run: a prompt is drawn, a picture is begun with, both by one click, where nothing was made yet.

import { action, all, one } from "./dom.js";

const PICTURE = new URL("example.png", import.meta.url);
const WORDS = "a red boat on a calm sea at sunset";

/** The prompts in the empty picture area of txt2img. They give way to a prompt that somebody has typed. */
export function wireExamples({ form, runner, panel }) {
  const room = one("[data-examples]", panel);
  const buttons = all("[data-example]", room);
  const prompts = buttons.map(({ dataset }) => dataset.example);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      form.fill({ prompt: button.dataset.example });
      runner.generate();
    });
  }
  const update = () => {
    const typed = form.get("prompt").trim();
    room.hidden = Boolean(typed) && !prompts.includes(typed);
  };
  form.onChange((names) => names.includes("prompt") && update());
  update();
}

/** The picture that img2img can begin with, and words for it where there are none. */
export function wireExamplePicture(tab) {
  action("example-picture", tab.root).addEventListener("click", async () => {
    const blob = await (await fetch(PICTURE)).blob();
    const typed = tab.form.get("prompt").trim();
    await tab.take(blob, tab.form.get("page.mode"), typed ? null : { prompt: WORDS });
  });
}
