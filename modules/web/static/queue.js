// The queue panel: everybody's turn, one's own jobs with what can be done to them, and what one drew last. And the
// button in the top bar that says where one's own job is.

import { address, get, post } from "./api.js";
import { action, duration, make, one, say } from "./dom.js";
import { dragRows } from "./queue-drag.js";
import { LOOKING, queueNews } from "./queue-news.js";
import { icon, KeyedList } from "./queue-rows.js";
import { date, t } from "./words.js";

const RECENT = 12;
const ASKED = 40;
const ENDINGS = { done: "Done", failed: "Failed", interrupted: "Interrupted", cancelled: "Cancelled", paused: "Paused" };

export class Queue {
  #panel;
  #opener;
  #show;
  #rows;
  #recent;
  #stopHearing = null;
  #own = ""; // one's own open jobs and the newest: when they change, there is something new in the history

  /** `show(job)` brings a job (as /api/v1/jobs tells it) into sight in its tab. */
  constructor(panel, opener, show) {
    this.#panel = panel;
    this.#opener = opener;
    this.#show = show;
    this.#rows = new KeyedList(one("[data-queue-list]", panel), (job) => this.#row(job), keyOf);
    this.#recent = new KeyedList(one("[data-queue-recent]", panel), (job) => this.#past(job), (job) => job.id);
    opener.addEventListener("click", () => (panel.hidden ? this.open() : this.close()));
    action("close-queue", panel).addEventListener("click", () => this.close());
    action("pause-queue", panel).addEventListener("click", () => this.#pause());
    panel.addEventListener("keydown", (event) => this.#escape(event));
    dragRows(one("[data-queue-list]", panel), (id, place) => this.#do(`jobs/${id}/move`, { to: place }, t("Moved to place {place}", { place })));
    queueNews.listen((queue) => this.#heard(queue));
  }

  open() {
    this.#panel.hidden = false;
    this.#opener.setAttribute("aria-expanded", "true");
    this.#panel.focus({ preventScroll: true });
    this.#stopHearing = queueNews.listen((queue) => queue && this.#draw(queue), LOOKING);
    this.#history();
  }

  /** `back`: the focus goes to the button it was opened with. */
  close(back = true) {
    if (this.#panel.hidden) return;
    this.#stopHearing?.();
    this.#panel.hidden = true;
    this.#opener.setAttribute("aria-expanded", "false");
    if (back) this.#opener.focus();
  }

  #escape(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    this.close();
  }

  // --- the top bar ---

  #heard(queue) {
    const [words, short] = queue ? whereabouts(queue) : ["Queue", ""];
    this.#opener.setAttribute("aria-label", words);
    one("[data-queue-words]", this.#opener).textContent = words;
    one("[data-queue-short]", this.#opener).textContent = short;
    this.#opener.classList.toggle("mine", Boolean(queue?.jobs.some((job) => job.mine)));
    this.#opener.classList.toggle("paused", Boolean(queue?.paused));
    const own = queue ? [queue.newest, ...queue.jobs.filter((job) => job.mine).map((job) => job.id)].join(" ") : this.#own;
    if (own !== this.#own && !this.#panel.hidden) this.#history();
    this.#own = own;
  }

  // --- the panel ---

  #draw(queue) {
    const own = queue.jobs.filter((job) => job.mine && job.position && !job.training);
    const places = new Map(own.map((job, at) => [job.id, { first: at === 0, last: at === own.length - 1 }]));
    this.#rows.show(queue.jobs.map((job) => ({ ...job, ...places.get(job.id), rules: queue.rules })));
    one("[data-queue-summary]", this.#panel).textContent = summary(queue);
    say(one("[data-queue-more]", this.#panel), queue.left_out ? `and ${queue.left_out} more` : "");
    say(one("[data-queue-paused]", this.#panel), queue.paused ? pausedWords(queue) : "");
    const pause = action("pause-queue", this.#panel);
    pause.hidden = !queue.rules;
    pause.dataset.on = queue.paused ? "on" : "";
    one("span", pause).textContent = queue.paused ? "Resume" : "Pause";
    pause.title = queue.paused ? "Let waiting jobs begin again" : "Let no job begin, whoever's; what runs goes on";
  }

  #row(job) {
    return job.mine && job.title !== undefined ? this.#ownRow(job) : this.#otherRow(job);
  }

  #ownRow(job) {
    const open = make("button", { type: "button", className: "queue-open-job" });
    const row = rowOf("own", open);
    open.addEventListener("click", () => this.#see(job.id));
    const buttons = make("div", { className: "queue-actions" });
    row.append(buttons);
    const can = {
      up: this.#tool(buttons, "up", "Earlier", () => this.#move(job.id, "up")),
      down: this.#tool(buttons, "down", "Later", () => this.#move(job.id, "down")),
      again: this.#tool(buttons, "dice", "Again, with a new seed", () => this.#repeat(job.id, "new")),
      stop: this.#tool(buttons, "clear", "Cancel", () => this.#do(`jobs/${job.id}/cancel`, {}, "Cancelled")),
    };
    row.update = (now) => {
      const waits = now.position > 0;
      fill(row, { ...now, picture: now.thumbnail, words: now.title || "(no prompt)", translate: !now.title, state: ownWords(now) });
      row.draggable = waits && !now.training;
      row.dataset.job = waits && !now.training ? now.id : "";
      for (const [name, off] of [["up", now.first], ["down", now.last]]) {
        can[name].hidden = !waits || now.training;
        can[name].setAttribute("aria-disabled", String(Boolean(off)));
      }
      can.again.hidden = now.training;
      label(can.stop, waits ? "Cancel" : "Interrupt");
    };
    return row;
  }

  #otherRow(job) {
    const row = rowOf("other", make("div", { className: "queue-somebody" }));
    const stop = this.#stopOther(job);
    if (job.rules) row.append(make("div", { className: "queue-actions" }, stop));
    row.update = (now) => {
      stop.number = now.number;
      fill(row, { ...now, words: otherWords(now), state: "" });
    };
    return row;
  }

  // Another person's job goes only after a second click.
  #stopOther() {
    const stop = make("button", { type: "button", className: "tool wide queue-stop" }, icon("clear"));
    label(stop, "Cancel this job of somebody else");
    const words = make("span", { textContent: "Cancel it?", hidden: true });
    stop.append(words);
    const calm = () => (words.hidden = true);
    stop.addEventListener("blur", calm);
    stop.addEventListener("click", () => {
      if (words.hidden) return (words.hidden = false);
      calm();
      this.#do(`queue/${stop.number}/cancel`, {}, "Cancelled");
    });
    return stop;
  }

  // --- what was drawn last ---

  async #history() {
    const { jobs } = await get(`jobs?limit=${ASKED}`).catch(() => ({ jobs: [] }));
    const past = jobs.filter((job) => job.state in ENDINGS && job.request.kind !== "training").slice(0, RECENT);
    one("[data-queue-history]", this.#panel).hidden = !past.length;
    this.#recent.show(past);
  }

  #past(job) {
    const open = make("button", { type: "button", className: "queue-open-job" });
    const row = rowOf("past", open);
    open.addEventListener("click", () => this.#see(job.id));
    const buttons = make("div", { className: "queue-actions" });
    row.append(buttons);
    this.#tool(buttons, "recycle", "Again, with the same seed", () => this.#repeat(job.id, "same"));
    this.#tool(buttons, "dice", "Again, with a new seed", () => this.#repeat(job.id, "new"));
    row.update = (now) => fill(row, { ...now, position: null, picture: pastPicture(now), words: titleOf(now.request), state: pastWords(now) });
    return row;
  }

  // --- doing ---

  #tool(room, name, words, work) {
    const tool = make("button", { type: "button", className: "tool" }, icon(name));
    tool.dataset.do = name;
    label(tool, words);
    tool.addEventListener("click", () => tool.getAttribute("aria-disabled") !== "true" && work());
    room.append(tool);
    return tool;
  }

  #move(id, to) {
    this.#do(`jobs/${id}/move`, { to }, (job) => t("Now place {place} in line", { place: job.position }));
  }

  async #repeat(id, seed) {
    await this.#do(`jobs/${id}/repeat`, { seed }, (job) => t("Ordered again, place {place} in line", { place: job.position }));
  }

  async #pause() {
    const on = action("pause-queue", this.#panel).dataset.on;
    await this.#do(on ? "queue/resume" : "queue/pause", {}, on ? "The queue goes on" : "The queue is paused");
  }

  async #do(path, body, said) {
    say(one("[data-queue-problem]", this.#panel), "");
    try {
      const answer = await post(path, body);
      one("[data-queue-said]", this.#panel).textContent = typeof said === "string" ? said : said(answer);
    } catch (refused) {
      say(one("[data-queue-problem]", this.#panel), refused.message);
    }
    await queueNews.refresh();
  }

  async #see(id) {
    const job = await get(`jobs/${id}`).catch(() => null);
    if (!job) return;
    if (matchMedia("(max-width: 1200px)").matches) this.close(false);
    this.#show(job);
  }
}

// Somebody else's jobs have no name: those of the same place in the list are the same row.
const keyOf = (job, at) => (job.mine && job.title !== undefined ? job.id : `other ${at}`);

function rowOf(kind, main) {
  const row = make("li", { className: `queue-row ${kind}` });
  const words = make("span", { className: "queue-job" }, make("b"), make("small"));
  main.append(make("span", { className: "queue-place" }));
  if (kind !== "other") main.append(make("span", { className: "queue-thumb" }));
  main.append(words);
  row.append(main);
  return row;
}

function fill(row, { state: wording, words, translate = true, position, picture, progress }) {
  row.dataset.state = position === 0 ? "running" : "";
  const place = one(".queue-place", row);
  if (position === null) place.hidden = true;
  else place.textContent = position || "";
  one("b", row).translate = translate;
  one("b", row).textContent = words;
  say(one("small", row), wording);
  row.style.setProperty("--done", `${Math.round(100 * (progress?.fraction ?? 0))}%`);
  const thumb = one(".queue-thumb", row);
  if (!thumb || thumb.dataset.of === (picture ?? "")) return;
  thumb.dataset.of = picture ?? "";
  thumb.replaceChildren(...(picture ? [make("img", { src: address(picture), alt: "", loading: "lazy", draggable: false })] : []));
}

function label(tool, words) {
  tool.title = words;
  tool.setAttribute("aria-label", words);
}

const about = (seconds) => (seconds === null || seconds === undefined ? "" : t("about {time}", { time: duration(seconds) }));

const doneIn = (seconds) => t("done in about {time}", { time: duration(seconds) });

const timeLeft = (seconds) => t("{time} left", { time: duration(seconds) });

const joined = (...parts) => parts.filter(Boolean).join(" · ");

function ownWords({ position, seconds, progress, pictures, training }) {
  const many = pictures > 1 ? t("{n} pictures", { n: pictures }) : "";
  if (position) return joined(position === 1 ? "Next" : "", seconds === null ? "" : doneIn(seconds), many) || "Waiting";
  const step = progress && !training ? t("step {step}/{steps}", progress) : "";
  const image = progress?.images > 1 ? t("image {image} of {images}", progress) : "";
  const left = seconds === null ? "" : timeLeft(seconds);
  return joined(left || (training ? "Training" : "Drawing"), step, image);
}

function otherWords({ position, seconds, takes, training, mine }) {
  const [waits, trains, draws] = mine ? ["You, a training", "You, training", "You, being drawn"] : ["Someone, a training", "Someone, training", "Someone, being drawn"];
  if (position) return joined(training ? waits : mine ? "You" : "Someone", about(takes));
  return joined(training ? trains : draws, seconds === null ? "" : timeLeft(seconds));
}

function summary({ waiting, jobs, paused }) {
  if (!jobs.length) return paused ? "" : "Nothing waits: a job that you send now runs at once.";
  if (!waiting) return "Nothing waits behind what runs.";
  const last = Math.max(...jobs.filter((job) => !job.training).map((job) => job.seconds ?? 0));
  const known = jobs.every((job) => job.training || job.seconds !== null) && last > 0;
  return joined(t("{n} jobs wait", { n: waiting }), known ? doneIn(last) : "");
}

function pausedWords({ rules }) {
  return rules ? "Queue paused. What waits is kept, and begins when you press Resume." : "Queue paused by the owner. Your jobs are kept, and begin when it goes on.";
}

/** What the top bar says, in words and as short as can be. */
function whereabouts({ jobs, waiting, left_out: rest, paused }) {
  if (paused) return ["Queue paused", "‖"];
  const own = jobs.filter((job) => job.mine && !job.training);
  if (own.some((job) => !job.position)) return [waiting ? t("Queue: yours now, {n} more", { n: waiting }) : "Queue: yours now", "now"];
  if (own.length) return [t("Queue: your place is {place}", { place: own[0].position }), `#${own[0].position}`];
  const count = jobs.length + rest;
  return [count ? t("Queue: {n}", { n: count }) : "Queue", count ? String(count) : ""];
}

const pastPicture = ({ id, images }) => (images.length ? `jobs/${id}/thumbnail?of=${images.length}` : null);

function pastWords({ state, message, images, ended }) {
  const when = new Date(1000 * ended);
  const today = when.toDateString() === new Date().toDateString();
  const time = date(when, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
  const many = images.length > 1 ? t("{n} pictures", { n: images.length }) : "";
  return joined(state === "done" ? "" : ENDINGS[state], state === "failed" ? message : many, time);
}

function titleOf(request) {
  const { prompt } = request.base ?? request;
  const count = request.pictures?.length;
  const seen = t("Captions, {n} pictures", { n: count });
  const other = { extras: t("Extras, {n} pictures", { n: count }), caption: seen, interrogate: seen, merge: t("Merge {name}", request) };
  return other[request.kind] ?? (joined(request.script, prompt?.slice(0, 160)) || "(no prompt)");
}
