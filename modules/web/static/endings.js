// The ends of this person's jobs, each told once, also of those that no part of this page follows: a training while its
// tab was never opened, a picture that was ordered on another device.

import { get } from "./api.js";
import { queueNews } from "./queue-news.js";

const ENDED = new Set(["done", "failed", "interrupted", "cancelled", "paused"]);
const LOOK_AGAIN = 10_000; // milliseconds, while the page is hidden
const MOST_ASKED = 8;
const ANSWERS = new Set(["interrogate"]); // what somebody waits for where they asked

/** What a job is, for whoever tells of it. */
export const kindOf = (request) => request?.kind ?? "generation";

class Endings {
  #listeners = [];
  #open = new Set(); // ids of own jobs that were seen open, and that nobody follows
  #told = new Set();
  #followed = new Set();
  #hiddenWork = () => false;
  #timer = 0;

  /** Hear of own jobs' ends. `hiddenWork()`: whether they are wanted while the page is hidden as well. */
  begin(hiddenWork) {
    this.#hiddenWork = hiddenWork;
    queueNews.listen((queue) => queue && this.#heard(queue));
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /** Call `listener(end)` with {id, kind, state, message, name, pictures, silent, seen}. */
  onEnd(listener) {
    this.#listeners.push(listener);
  }

  /** Some part of the page follows these jobs, and tells what has to be told of them. */
  follow(ids) {
    for (const id of ids) {
      this.#followed.add(id);
      this.#open.delete(id);
    }
  }

  /** A job has ended. `seen`: whoever looks at the page reads or hears of it anyway; `silent`: more is to come. */
  tell(end) {
    this.#open.delete(end.id);
    if (this.#told.has(end.id) || ANSWERS.has(end.kind)) return;
    this.#told.add(end.id);
    for (const listener of this.#listeners) listener(end);
  }

  #heard({ jobs }) {
    const own = jobs.filter((job) => job.mine && job.id).map(({ id }) => id);
    const gone = [...this.#open].filter((id) => !own.includes(id));
    for (const id of own) if (!this.#followed.has(id) && !this.#told.has(id)) this.#open.add(id);
    this.#ask(gone);
  }

  async #ask(ids) {
    for (const id of ids.slice(0, MOST_ASKED)) {
      const job = await get(`jobs/${id}`).catch(() => null);
      if (!job) this.#open.delete(id);
      else if (ENDED.has(job.state) && this.#open.has(id)) this.tell(endOf(job));
    }
  }

  // The queue is not asked for while the page is hidden; what somebody waits for is.
  #look() {
    clearTimeout(this.#timer);
    if (!document.hidden) return;
    this.#timer = setTimeout(async () => {
      if (this.#hiddenWork()) await this.#ask([...this.#open]);
      this.#look();
    }, LOOK_AGAIN);
  }
}

/** What there is to tell of a job as the server has it. */
function endOf({ id, request, state, message, images }) {
  return { id, kind: kindOf(request), state, message, name: request.name ?? "", pictures: images.length };
}

export const endings = new Endings();
