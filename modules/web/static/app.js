// The entry: waits for the tabs that Gradio draws, and gives each part its piece of the page.

import { post, Refused } from "./api.js";
import { action, one, openTab, panel, say } from "./dom.js";
import { Form, showChanges } from "./fields.js";
import { seedOf } from "./infotext.js";
import { wireKeys } from "./keys.js";
import { remember } from "./memory.js";
import { Output } from "./output.js";
import { PngInfo, readPicture } from "./pnginfo.js";
import { wirePrompts } from "./prompt.js";
import { Runner } from "./run.js";
import { ModelBar, watchEngine, wireSizeHint } from "./topbar.js";

const PROMPTS = ["prompt", "negative_prompt"];

async function start() {
  const [bar, txt2img, outputPanel] = await Promise.all([panel("topbar"), panel("txt2img"), panel("output")]);
  const form = new Form(bar, txt2img);
  const models = new ModelBar(form, bar);
  const output = new Output(outputPanel);
  const runner = new Runner(form, output, outputPanel, one("[data-run]", txt2img));

  showChanges(form, txt2img);
  wireSizeHint(form, models, txt2img);
  wireTools(form, output, txt2img);
  wireSending(form, output, outputPanel, txt2img);
  wireKeys(runner);
  watchEngine(bar, (state, restarted) => idleWords(outputPanel, state, restarted));

  const listed = models.load();
  await remember(form);
  wirePrompts(form, txt2img);
  await listed;
  await runner.resume();
  document.documentElement.dataset.webui = "ready"; // tests and extensions wait for this
}

function wireTools(form, output, root) {
  action("swap", root).addEventListener("click", () => form.fill({ width: form.get("height"), height: form.get("width") }));
  action("dice", root).addEventListener("click", () => form.fill({ seed: -1 }));
  action("recycle", root).addEventListener("click", () => {
    const seed = output.current && seedOf(output.current.infotext);
    if (seed) form.fill({ seed });
  });
  action("clear", root).addEventListener("click", () => form.reset(PROMPTS));
  action("reset", root).addEventListener("click", () => form.reset(form.names.filter((name) => !PROMPTS.includes(name))));
}

/** Everything that fills the form from a picture's text. */
function wireSending(form, output, outputPanel, txt2img) {
  const fill = ({ request, notices }) => {
    if (!request) throw new Refused("This picture carries no parameters.");
    form.fill(request);
    say(one("[data-run-problem]", txt2img), notices.join(" "));
    openTab("tab-txt2img");
  };
  const refused = (error) => say(one("[data-run-problem]", txt2img), error.message);

  const pnginfo = panel("pnginfo").then((element) => new PngInfo(element, fill));
  wireDrop(txt2img, fill, refused);
  action("paste", txt2img).addEventListener("click", () => pasteText(form, txt2img).catch(refused));
  const picture = async () => (await fetch(output.source)).blob();
  action("reuse", outputPanel).addEventListener("click", () => picture().then(readPicture).then(fill).catch(refused));
  action("to-pnginfo", outputPanel).addEventListener("click", async () => {
    const blob = await picture();
    openTab("tab-pnginfo");
    (await pnginfo).read(blob);
  });
}

/** A picture dropped on the form fills it. */
function wireDrop(txt2img, fill, refused) {
  const carriesFile = (event) => event.dataTransfer.types.includes("Files");
  txt2img.addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault());
  txt2img.addEventListener("drop", async (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    await readPicture(event.dataTransfer.files[0]).then(fill).catch(refused);
  });
}

/** The arrow in the prompt's corner: a text with parameters becomes the form. */
async function pasteText(form, txt2img) {
  const text = form.get("prompt");
  const { request, notices } = await post("infotext", { text });
  form.fill(request);
  say(one("[data-run-problem]", txt2img), notices.join(" "));
}

function idleWords(outputPanel, state, restarted) {
  const soon = "a job that you send now runs as soon as it is ready";
  const words = {
    starting: `The engine is ${restarted ? "being started again" : "starting"}; ${soon}`,
    loading: `The model is being loaded; ${soon}`,
    gone: "The server does not answer",
  }[state];
  one("[data-idle-title]", outputPanel).textContent = words ?? "Your picture appears here";
}

start();
