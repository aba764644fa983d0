// Who can describe pictures: the lists of them, and the words of a job that does.

import { address, get } from "./api.js";
import { fillLists } from "./lists.js";

let known = []; // {name, kind, problem} each

export const captioners = () => known;

/** Ask the server who there is, and fill the lists of them; those whose model is missing are in them too. */
export async function loadCaptioners() {
  known = await get("captioners").catch(() => known);
  fillLists({ captioners: () => known.map(({ name }) => new Option(name, name)) });
  return known;
}

/** What to do before that one can speak, or "". */
export const problemOf = (name) => known.find((one) => one.name === name)?.problem ?? "";

/** Whether that one speaks in tags, so that it has a threshold. */
export const saysTags = (name) => known.find((one) => one.name === name)?.kind === "tags";

/** Hear a job's events by their names until its end; what the connection loses ends it as `Failed`. */
export function hear(job, handlers) {
  const stream = new EventSource(address(`jobs/${job}/events`));
  stream.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.event === "Failed" || event.event === "Finished") stream.close();
    handlers[event.event]?.(event);
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) handlers.Failed({ message: "The connection was lost; try again." });
  };
}
