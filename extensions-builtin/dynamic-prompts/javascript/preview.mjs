// Under the options of Dynamic prompts: what the words of the next pictures would be.

import { post } from "../../../webui/api.js";
import { later, make, one, panel } from "../../../webui/dom.js";
import { t } from "../../../webui/words.js";

const PART = "extensions.dynamic-prompts";

for (const tab of ["txt2img", "img2img"]) panel(tab).then((root) => wire(root));

function wire(root) {
  const section = one(`[data-section="${PART}"]`, root);
  if (!section) return;
  const list = make("ul", { className: "help dynamic-samples" });
  list.setAttribute("aria-label", "Samples of the prompt");
  const words = make("p", { className: "hint dynamic-words" });
  words.setAttribute("role", "status");
  section.append(words, list);
  const input = (name) => one(`[data-knob="${name}"] :is(select, textarea, input:not([type=range]))`, root);
  let latest = 0;

  async function show() {
    if (!section.open) return;
    const mine = ++latest;
    const body = { text: input("prompt").value, order: input(`${PART}.order`).value, seed: Number(input("seed").value) };
    if (!Number.isSafeInteger(body.seed)) body.seed = -1;
    const { samples, count, problem } = await post("extensions/dynamic-prompts/preview", body).catch((refused) => ({
      samples: [],
      problem: refused.message,
    }));
    if (mine !== latest) return;
    const many = count >= 10000 ? "10000 or more texts" : `${count} ${count === 1 ? "text" : "texts"}`;
    words.textContent = problem ?? `The prompt can become ${many}, such as:`;
    list.replaceChildren(...samples.map((text) => make("li", { textContent: text || t("(empty)") })));
  }

  const soon = later(show, 400);
  section.addEventListener("toggle", show);
  for (const event of ["input", "change"]) root.addEventListener(event, soon);
}
