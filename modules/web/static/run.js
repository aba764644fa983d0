// Running jobs: Generate, Interrupt, Skip, and the job's events until its end. A job is the server's; this page only
// follows it, so a reload (or a second tab) finds it again.

import { announcer, Quarters } from "./announce.js";
import { address, get, post, Refused } from "./api.js";
import { action, duration, make, one, say } from "./dom.js";
import { endings, kindOf } from "./endings.js";
import { Forever } from "./forever.js";
import { pageTitle } from "./page-title.js";
import { queueNews, WAITING } from "./queue-news.js";
import { t } from "./words.js";

const APART = 10_000; // milliseconds between two sentences on how far it is
const ENDED = new Set(["done", "failed", "interrupted", "cancelled"]);

/** `order()` makes what Generate asks for (by default the form's values): a request, or several that run one after
 * another. `mine(job)` says which of a person's jobs belong to this tab. */
export class Runner {
  #form;
  #output;
  #panel; // the output panel
  #run; // the bar with the buttons
  #order;
  #mine;
  #ended;
  #refused;
  #job = null; // {id, state} of the job that is followed
  #rest = []; // jobs that come after it
  #stream = null;
  #stopHearing = null; // of the queue
  #made = new Set(); // the pictures there are, of this job and of those before it
  #quarters = new Quarters(APART);
  #waits = ""; // what was said of its place in the line
  #forever;
  #late = false; // interrupted while the next job was on its way to the server

  /** `ended(state)` hears of a job's end; `refused(error)` may deal with a refusal itself (true: it did). */
  constructor({ form, output, panel, run, order = () => form.values(), mine = () => true, ended = () => {}, refused = () => false }) {
    this.#form = form;
    this.#output = output;
    this.#panel = panel;
    this.#run = run;
    this.#order = order;
    this.#mine = mine;
    this.#ended = ended;
    this.#refused = refused;
    action("generate", run).addEventListener("click", () => this.generate());
    action("interrupt", run).addEventListener("click", () => this.interrupt());
    action("skip", run).addEventListener("click", () => this.skip());
    this.#forever = new Forever(run, () => this.busy || this.generate());
    this.#state("idle");
  }

  get busy() {
    return this.#job !== null && !ENDED.has(this.#job.state);
  }

  /** Whether there is something to interrupt: between the jobs of "forever" none is running. */
  get active() {
    return this.busy || this.#forever.on;
  }

  /** Send what `order` makes as jobs. With a job already running, that one is interrupted and these come after it. */
  async generate(order = this.#order) {
    this.#complain("");
    this.#form.blame(null);
    const button = action("generate", this.#run);
    if (button.disabled) return;
    button.disabled = true;
    this.#late = false;
    try {
      const jobs = [];
      for (const request of [await order()].flat()) jobs.push(await post("jobs", request));
      if (this.busy) await this.#stop();
      this.#followAll(jobs);
      if (this.#late) await this.#stop();
    } catch (refused) {
      this.#refuse(refused);
    } finally {
      button.disabled = false;
    }
  }

  async interrupt() {
    this.#forever.set(false);
    this.#late = action("generate", this.#run).disabled;
    await this.#stop();
  }

  async #stop() {
    if (!this.busy) return;
    const rest = this.#rest.splice(0);
    await Promise.all(rest.map(({ id }) => post(`jobs/${id}/cancel`).catch(() => {})));
    const verb = this.#job.state === "waiting" ? "cancel" : "interrupt";
    const words = verb === "cancel" ? "Cancelling" : "Interrupting after this step";
    this.#words(words);
    announcer.say(words, "course");
    await this.#tell(verb);
  }

  async skip() {
    if (this.busy) await this.#tell("skip");
  }

  async #tell(verb) {
    try {
      await post(`jobs/${this.#job.id}/${verb}`);
    } catch (refused) {
      this.#complain(refused.message);
    }
  }

  /** After a reload, or on another device: go on with this person's jobs, or show what the newest one made. */
  async resume() {
    const none = () => ({ jobs: [] });
    const [open, all] = await Promise.all([get("jobs?open=true").catch(none), get("jobs").catch(none)]);
    const jobs = all.jobs.filter(this.#mine);
    if (jobs[0]?.state === "failed") this.#complain(jobs[0].message);
    const own = open.jobs.filter(this.#mine);
    if (own.length) return this.#followAll(own);
    const newest = jobs.find((job) => job.images.length);
    if (newest) this.#showImages(newest);
  }

  /** Bring one of this person's jobs into sight: go on with an open one, or show what another one made. */
  show(job) {
    if (this.busy && this.#job.id === job.id) return;
    this.#forever.set(false);
    if (!ENDED.has(job.state)) return this.#followAll([job]);
    this.#leave();
    this.#job = null;
    this.#rest = [];
    pageTitle.clear(this);
    this.#state("idle");
    this.#words("");
    this.#bar(0);
    this.#complain(job.state === "failed" ? job.message : "");
    if (job.images.length) this.#showImages(job);
  }

  #showImages(job) {
    this.#output.begin(job.id, job.request);
    job.images.forEach((image) => this.#output.addImage(image));
    this.#output.end();
  }

  #followAll([job, ...rest]) {
    this.#rest = rest;
    endings.follow(rest.map(({ id }) => id));
    this.follow(job);
  }

  /** Show a job's events, those of the past first. `more`: it is one of several that belong together. */
  follow(job, more = false) {
    this.#leave();
    this.#job = { id: job.id, state: job.state, kind: kindOf(job.request) };
    endings.follow([job.id]);
    if (!more) one("[data-notices]", this.#panel).replaceChildren();
    if (!more) this.#made.clear();
    this.#quarters.begin();
    this.#output.begin(job.id, job.request, more);
    this.#state(job.state === "running" ? "running" : "waiting");
    this.#bar(0);
    this.#watchQueue();
    this.#stream = new EventSource(address(`jobs/${job.id}/events`));
    this.#stream.onmessage = (message) => this.#event(JSON.parse(message.data));
    this.#stream.onerror = () => this.#lost();
  }

  #leave() {
    this.#stream?.close();
    this.#stream = null;
    this.#stopHearing?.();
  }

  // The browser connects again by itself, and the server tells what was missed; when the server says that there is
  // nothing more to tell, the job has ended while nobody listened.
  async #lost() {
    if (this.#stream?.readyState !== EventSource.CLOSED) return this.#words("The connection was lost; trying again");
    const id = this.#job.id;
    const gone = (refused) => ({ state: "failed", message: refused.message, images: [] });
    const job = await get(`jobs/${id}`).catch(gone);
    if (this.#job.id !== id || !this.busy) return;
    if (!ENDED.has(job.state)) return setTimeout(() => this.#job.id === id && this.follow(job), 2000);
    job.images.forEach((image) => this.#addImage(image));
    this.#end(job.state, job.message);
  }

  #event(event) {
    const handlers = {
      Progress: () => this.#progress(event),
      Preview: () => this.#output.addPreview(event.data_uri),
      ImageSaved: () => this.#addImage(event),
      Notice: () => this.#notice(event),
      Failed: () => this.#end("failed", event.message),
      Finished: () => this.#end(event.reason, "", event.seconds),
    };
    handlers[event.event]?.();
  }

  #addImage(image) {
    this.#made.add(`${this.#job.id} ${image.index}`);
    this.#output.addImage(image);
  }

  #progress({ step, steps, image, images, stage, fraction, seconds_left: left }) {
    if (this.#job.state !== "running") this.#state("running");
    const parts = stage === "sampling" ? [t("Step {step}/{steps}", { step, steps })] : [capital(stage)];
    if (images > 1) parts.push(t("image {image} of {images}", { image, images }));
    if (this.#rest.length) parts.push(t("{n} more to come", { n: this.#rest.length }));
    this.#words(parts.join(" · "), left === null ? "" : t("{time} left", { time: duration(left) }));
    this.#bar(fraction, left);
    if (this.#quarters.reached(fraction)) announcer.say(farWords(fraction, left), "course");
  }

  #notice({ text, level }) {
    const list = one("[data-notices]", this.#panel);
    const known = [...list.children].some((item) => item.dataset.text === text);
    if (known) return;
    const item = make("li", { textContent: text, className: level });
    item.dataset.text = text; // what is shown may be in another language
    list.append(item);
  }

  #end(state, message, seconds = null) {
    this.#leave();
    const next = this.#rest.shift();
    if (next) {
      if (state === "failed") this.#notice({ text: message, level: "warning" });
      return this.follow(next, true);
    }
    this.#state(state);
    this.#output.end();
    this.#bar(state === "done" ? 1 : 0);
    const done = seconds === null ? "Done" : t("Done in {n} s", { n: seconds.toFixed(1) });
    const words = { done, interrupted: message || "Interrupted", cancelled: "Cancelled" };
    this.#words(words[state] ?? "");
    this.#complain(state === "failed" ? message : "");
    pageTitle.clear(this);
    this.#tellEnd(state, message, seconds);
    this.#ended(state);
    if (state === "done" && this.#forever.on) this.generate();
    else this.#forever.set(false);
  }

  // A failure in sight is an alert, which is heard.
  #tellEnd(state, message, seconds) {
    const { id, kind } = this.#job;
    const silent = this.#forever.on && state === "done";
    const seen = silent || (state === "failed" && this.#panel.offsetParent !== null);
    announcer.forget("course");
    endings.tell({ id, kind, state, message, seconds, pictures: this.#made.size, name: "", silent, seen });
  }

  // While it waits, the job's place and about how long.
  #watchQueue() {
    const hear = (queue) => {
      if (this.#job?.state !== "waiting") return this.#stopHearing?.();
      const mine = queue?.jobs.find((item) => item.id === this.#job.id);
      this.#wait(waiting(mine, queue), mine?.seconds ? t("about {time}", { time: duration(mine.seconds) }) : "");
    };
    this.#waits = "";
    this.#words("Waiting");
    this.#stopHearing = queueNews.listen(hear, WAITING);
  }

  #wait(words, left) {
    if (words !== this.#waits) announcer.say(words, "course");
    this.#waits = words;
    this.#words(words, left);
  }

  #state(state) {
    if (this.#job) this.#job.state = state;
    this.#run.dataset.state = state;
    one("[data-progress]", this.#panel).dataset.state = state;
    const busy = this.busy;
    const hadFocus = this.#run.contains(document.activeElement);
    action("generate", this.#run).hidden = busy;
    action("interrupt", this.#run).hidden = !busy;
    action("interrupt", this.#run).textContent = state === "waiting" ? "Cancel" : "Interrupt";
    action("skip", this.#run).hidden = state !== "running";
    if (hadFocus) action(busy ? "interrupt" : "generate", this.#run).focus();
    if (busy) this.#complain("");
  }

  #words(text, left = "") {
    one("[data-state-text]", this.#panel).textContent = text;
    one("[data-left]", this.#panel).textContent = left;
  }

  #bar(fraction, left = null) {
    const percent = Math.round(100 * fraction);
    const bar = one("[data-bar]", this.#panel);
    bar.setAttribute("aria-valuenow", percent);
    bar.style.setProperty("--done", `${percent}%`);
    one("[data-run-line]", this.#run).style.setProperty("--done", `${percent}%`);
    if (this.busy) pageTitle.show(this, fraction, left);
  }

  #refuse(refused) {
    this.#forever.set(false);
    if (!(refused instanceof Refused)) throw refused;
    if (this.#refused(refused)) return;
    if (refused.field) this.#form.blame(refused.field);
    say(one("[data-run-problem]", this.#run), refused.message);
  }

  // A job's failure is said where the picture would be; on a phone that may be out of sight, so the bar says it too.
  #complain(sentence) {
    say(one("[data-problem]", this.#panel), sentence);
    say(one("[data-run-problem]", this.#run), matchMedia("(max-width: 760px)").matches ? sentence : "");
  }
}

function waiting(mine, queue) {
  if (queue?.paused) return "Queue paused by the owner; your job is kept and begins when it goes on";
  if (queue && ["starting", "loading"].includes(queue.engine.state) && (mine?.position ?? 1) <= 1) {
    return "The engine is starting; your job runs as soon as it is ready";
  }
  return mine?.position > 1 ? t("Waiting, place {place} in line", { place: mine.position }) : "Waiting, next in line";
}

/** How far it is, for those who listen. */
function farWords(fraction, left) {
  const percent = Math.round(100 * fraction);
  return left === null ? t("{percent} percent done", { percent }) : t("{percent} percent done, {time} left", { percent, time: duration(left) });
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
