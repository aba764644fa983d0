// The entry: waits for the tabs that Gradio draws, and gives each part its piece of the page.

import { wirePeople } from "./access.js";
import { action, one, openTab, panel } from "./dom.js";
import { wireExamplePicture, wireExamples } from "./examples.js";
import { Form } from "./fields.js";
import { wireFrame } from "./frame.js";
import { wireHires } from "./hires.js";
import { Img2imgTab } from "./img2img.js";
import { wireKeys } from "./keys.js";
import { remember } from "./memory.js";
import { mine } from "./mine.js";
import { wireLanguage } from "./language.js";
import { wireMore } from "./more.js";
import { wireNews } from "./notify.js";
import { PngInfo } from "./pnginfo.js";
import { Queue } from "./queue.js";
import { receive, withoutParts } from "./send.js";
import { baseOf } from "./scripts.js";
import { DrawTab } from "./tab.js";
import { ModelBar, watchEngine } from "./topbar.js";
import { tour } from "./tour.js";
import { TrainTab } from "./train.js";

const tabs = []; // those that are drawn

async function start() {
  const bar = await panel("topbar");
  wireFrame(bar);
  wirePeople(bar);
  wireNews();
  action("help", bar).addEventListener("click", () => tour.start());
  wireLanguage(bar);
  const models = new ModelBar(new Form(bar), bar);
  const listed = models.load();
  const txt2img = opened("txt2img", models, listed, makeTxt2img);
  const img2img = opened("img2img", models, listed, (root, output) => new Img2imgTab(root, output, models));
  txt2img.then(wireExamples);
  img2img.then(wireExamplePicture);
  const pnginfo = panel("pnginfo").then((root) => new PngInfo(root, useAgain));
  wireReceivers(txt2img, img2img, pnginfo);
  openTraining(models, listed, txt2img);
  wireMore((name, build) => opened(name, models, listed, build));
  panel("queue").then((root) => new Queue(root, action("queue", bar), (job) => showJob(job, { txt2img, img2img })));
  wireKeys(() => tabs.find((tab) => tab.isInSight)?.runner ?? null);
  watchEngine(bar, (state, restarted) => tabs.forEach(({ panel }) => idleWords(panel, state, restarted)));

  // A picture's settings go to the tab that can draw it again.
  async function useAgain(reading) {
    const again = reading.request?.image ? "img2img" : "txt2img";
    openTab(`tab-${again}`); // Gradio draws it when it is opened
    (await (again === "img2img" ? img2img : txt2img)).use(reading);
  }

  for (const tab of [txt2img, img2img]) tab.then((drawn) => drawn.wireSending(useAgain));
  await mine.load();
  const useDefaults = () => models.form.useDefaults(mine.forms.models ?? {});
  useDefaults();
  mine.onChange(useDefaults);
  await remember(models.form, "models", ["checkpoint"]);
  await txt2img;
  document.documentElement.dataset.webui = "ready"; // tests and extensions wait for this
  tour.offer();
}

/** A tab as soon as it is drawn, with its form filled and its newest job found again. */
async function opened(name, models, listed, build) {
  const [root, output] = await Promise.all([panel(name), panel(`${name}-output`)]);
  const tab = build(root, output, models);
  tabs.push(tab);
  await tab.open();
  await listed;
  await tab.runner.resume();
  root.dataset.ready = "";
  return tab;
}

function makeTxt2img(root, output, models) {
  const tab = new DrawTab("txt2img", root, output, models, { mine: ({ request }) => !request.kind && !request.image });
  wireHires(tab);
  return tab;
}

/** Bring a job into sight in the tab that it is of. */
async function showJob(job, drawn) {
  const request = baseOf(job.request);
  const others = { extras: "extras", merge: "checkpointmerger", training: "train", caption: "train", interrogate: "img2img" };
  const name = others[request.kind] ?? (request.image ? "img2img" : "txt2img");
  openTab(`tab-${name}`); // Gradio draws it when it is opened
  if (request.kind !== "interrogate") (await drawn[name])?.runner.show(job); // its words are in the prompt, or gone
}

/** The Train tab draws no pictures of its own: it follows runs, and txt2img tries what they learned. */
async function openTraining(models, listed, txt2img) {
  const root = await panel("train");
  const tab = new TrainTab(root, models, async (change) => {
    const { form } = await txt2img;
    form.fill({ prompt: change(form.get("prompt")) });
  });
  await listed;
  await tab.open();
  root.dataset.ready = "";
}

/** What becomes of pictures that are sent to a tab: see send.js. */
function wireReceivers(txt2img, img2img, pnginfo) {
  const words = ({ request }) => request && withoutParts(request);
  receive("txt2img", async ({ reading }) => (await txt2img).use(reading, words(reading)));
  for (const [name, mode] of Object.entries({ img2img: "img2img", inpaint: "Inpaint" })) {
    receive(name, async ({ blob, reading }) => {
      openTab("tab-img2img");
      await (await img2img).take(blob, mode, words(reading));
    });
  }
  receive("pnginfo", async ({ blob }) => {
    openTab("tab-pnginfo");
    (await pnginfo).read(blob);
  });
}

function idleWords(outputPanel, state, restarted) {
  const words = {
    starting: restarted
      ? "The engine is being started again; a job that you send now runs as soon as it is ready"
      : "The engine is starting; a job that you send now runs as soon as it is ready",
    loading: "The model is being loaded; a job that you send now runs as soon as it is ready",
    gone: "The server does not answer",
  }[state];
  const title = one("[data-idle-title]", outputPanel);
  if (title) title.textContent = words ?? "Your picture appears here";
}

start();
