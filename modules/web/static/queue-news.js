// The queue as the server tells it, asked for once for all who want to know: often while somebody looks at it, seldom
// otherwise, never in a hidden tab.

import { get } from "./api.js";

export const LOOKING = 1000;
export const WAITING = 2000;
const OWN = 3000; // a job of one's own is open, perhaps made on another device
const IDLE = 8000;

class QueueNews {
  #listeners = new Map(); // -> how often it wants to know
  #timer = 0;
  #asking = null;
  latest = null;

  /** `hear(queue)` is called with every answer (null: the server did not give one), at least `every` so many ms if it
   * says so; gives back what stops that. */
  listen(hear, every = IDLE) {
    this.#listeners.set(hear, every);
    if (this.latest && every < IDLE) hear(this.latest);
    if (!this.latest || every < IDLE) this.#later(0);
    return () => this.#listeners.delete(hear);
  }

  /** Ask now: something was done to it. */
  async refresh() {
    if (this.#asking) await this.#asking;
    await this.#ask();
  }

  #later(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), wait);
  }

  #tick() {
    if (document.hidden) document.addEventListener("visibilitychange", () => this.#tick(), { once: true });
    else this.#ask();
  }

  async #ask() {
    if (this.#asking) return this.#asking;
    this.#asking = get("queue?limit=40").catch(() => null);
    this.latest = await this.#asking;
    this.#asking = null;
    this.#later(this.#wait());
    for (const hear of [...this.#listeners.keys()]) hear(this.latest);
    return this.latest;
  }

  #wait() {
    const own = this.latest?.jobs.some((job) => job.mine) ? OWN : IDLE;
    return Math.min(own, ...this.#listeners.values());
  }
}

export const queueNews = new QueueNews();
