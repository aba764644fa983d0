// The top bar: the checkpoint and VAE lists, the state of the engine, and the hint about sizes.

import { announcer } from "./announce.js";
import { get, post } from "./api.js";
import { action, make, one, say } from "./dom.js";
import { fillLists } from "./lists.js";
import { mine } from "./mine.js";
import { t } from "./words.js";

const STATES = {
  starting: "Engine starting",
  loading: "Loading the model",
  ready: "Ready",
  busy: "Working",
  stopped: "Engine stopped",
};

/** Fill and wire the model fields, and every other list of files on the page. */
export class ModelBar {
  #form;
  #bar;
  #entries = [];

  constructor(form, bar) {
    this.#form = this.form = form;
    this.#bar = bar;
    form.field("checkpoint").input.addEventListener("change", () => this.#choose());
    action("refresh", bar).addEventListener("click", () => this.refresh());
    addEventListener("webui-models-changed", () => this.load());
    action("theme", bar).addEventListener("click", () => {
      dispatchEvent(new Event("webui-toggle-theme"));
      mine.keepTheme(localStorage.getItem("webui-theme"));
    });
    form.onChange((names) => {
      if (names.includes("checkpoint")) this.#useFileName();
    });
  }

  async load() {
    this.#fill(await get("checkpoints").catch(() => null));
  }

  async refresh() {
    const button = action("refresh", this.#bar);
    button.setAttribute("aria-busy", "true");
    this.#fill(await post("checkpoints/refresh").catch(() => null));
    button.removeAttribute("aria-busy");
  }

  #fill(lists) {
    if (!lists) return;
    this.#entries = lists.checkpoints;
    const selected = this.#find(lists.selected)?.name ?? lists.selected;
    const chosen = this.#form.get("checkpoint") || selected;
    this.#form.field("checkpoint").default = selected;
    fillLists({
      checkpoints: () => lists.checkpoints.map(checkpointOption),
      vaes: () => lists.vaes.map((name) => new Option(name, name)),
      vae_files: () => lists.vaes.filter((name) => name !== "Automatic").map((name) => new Option(name, name)),
    });
    this.#form.fill({ checkpoint: this.#find(chosen)?.name ?? chosen }, false);
  }

  // A picture names its checkpoint by title, old ones by stem or hash.
  #find(name) {
    const answersTo = ({ name: file, title, hash }) => [file, title, hash, file.replace(/\.\w+$/, ""), `${file} [${hash}]`];
    return this.#entries.find((entry) => name && answersTo(entry).includes(name));
  }

  #useFileName() {
    const entry = this.#find(this.#form.get("checkpoint"));
    if (entry && entry.name !== this.#form.get("checkpoint")) this.#form.fill({ checkpoint: entry.name }, false);
  }

  // Told to the server at once, so that the engine loads it while the prompt is being written.
  async #choose() {
    await post("checkpoint", { name: this.#form.get("checkpoint") }).catch(() => {});
  }

  /** [width, height] the chosen checkpoint was trained at, or null. */
  get nativeSize() {
    return this.#find(this.#form.get("checkpoint"))?.native_size ?? null;
  }
}

function checkpointOption({ name, title, problem }) {
  const option = new Option(problem ? t("{title} (cannot be used)", { title }) : title, name);
  option.disabled = Boolean(problem);
  option.title = problem ?? "";
  if (problem) option.dataset.words = "";
  return option;
}

/** Width and height at their defaults follow the checkpoint that the form draws with. */
export function followNativeSize(form, models) {
  const follow = () => {
    const size = models.nativeSize;
    if (!size) return;
    form.changeDefault("width", size[0]);
    form.changeDefault("height", size[1]);
  };
  form.onChange((names) => names.includes("checkpoint") && follow());
  follow();
}

/** A quiet sentence when the size is far from what the checkpoint was trained at, with the way back. */
export function wireSizeHint(form, models, panel) {
  const hint = one("[data-size-hint]", panel);
  const update = () => {
    const size = models.nativeSize;
    const unusual = size && far(form.get("width"), form.get("height"), size);
    if (!unusual) return say(hint, "");
    say(hint, `${t("This checkpoint was trained at {width} × {height}; at this size parts may repeat or blur.", { width: size[0], height: size[1] })} `);
    const back = make("button", { type: "button", textContent: t("Use {width} × {height}", { width: size[0], height: size[1] }) });
    back.addEventListener("click", () => form.fill({ width: size[0], height: size[1] }));
    hint.append(back);
  };
  form.onChange((names) => names.some((name) => ["width", "height", "checkpoint"].includes(name)) && update());
  update();
}

// Area within a factor of two and neither side beyond twice its native length is usual.
function far(width, height, [w, h]) {
  const ratio = (width * height) / (w * h);
  return ratio > 2.01 || ratio < 0.49 || width > 2 * w || height > 2 * h;
}

/** Ask for the engine's state: often while it changes, seldom when it rests, never in a hidden tab. */
export function watchEngine(bar, onState) {
  const lamp = one("[data-engine]", bar);
  let before = null;
  let restarted = false;
  let worried = false; // those who listen heard that it does not work
  const ask = async () => {
    const status = await get("status").catch(() => null);
    const engine = status?.engine ?? { state: "gone", text: "" };
    if (before && before !== "starting" && before !== "gone" && engine.state === "starting") restarted = true;
    if (engine.state === "ready" || engine.state === "busy") restarted = false;
    if (before !== engine.state || engine.text) showEngine(lamp, engine, restarted);
    if (before !== engine.state) worried = tellEngine(engine.state, restarted, worried);
    before = engine.state;
    onState(engine.state, restarted);
    setTimeout(tick, engine.state === "ready" ? 4000 : 1000);
  };
  const tick = () => (document.hidden ? document.addEventListener("visibilitychange", ask, { once: true }) : ask());
  ask();
}

// That it works and rests is no news; that it does not is.
function tellEngine(state, restarted, worried) {
  const works = state === "ready" || state === "busy";
  if (works && worried) announcer.say(t("The engine works again"), "engine");
  if (works) return false;
  if (state !== "gone" && state !== "stopped" && !restarted) return worried;
  announcer.say(engineWords(state, restarted), "engine");
  return true;
}

const engineWords = (state, restarted) => (state === "gone" ? "No connection" : restarted ? "Engine restarting" : STATES[state]);

function showEngine(lamp, { state, text, device }, restarted) {
  lamp.dataset.state = state;
  const words = engineWords(state, restarted);
  // Several engines call themselves by their number; what each does is said when the pointer rests here.
  const where = device && (state === "ready" || device.endsWith(" engines")) ? ` · ${device}` : "";
  one("[data-engine-text]", lamp).textContent = words + where;
  lamp.title = text || "";
}
