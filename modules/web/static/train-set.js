// A data set: its pictures, captions and what the doctor found. The server has it; this page changes it and asks again.

import { address, call, get, post, Refused } from "./api.js";
import { later } from "./dom.js";
import { fillLists } from "./lists.js";

const SAVE_AFTER = 700; // milliseconds without a key
const MOST_FILES = 12; // of one upload
const MOST_BYTES = 24 << 20;

const route = (name, rest = "") => `datasets/${encodeURIComponent(name)}${rest}`;

export class DataSet {
  name = "";
  info = null; // what GET datasets/NAME says
  problem = "";
  #listeners = [];
  #unsaved = new Map(); // id -> caption
  #saving = null;
  #save = later(() => this.flush().catch(() => {}), SAVE_AFTER);
  #asked = 0;

  /** `size()` gives {width, height} that pictures are trained at: what is too small depends on it. */
  constructor(size) {
    this.size = size;
    addEventListener("pagehide", () => this.#saveLast());
  }

  /** Call `listener(typed)` after every change; `typed` is the id of a picture where only its caption is another. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  #tell(typed = null) {
    for (const listener of this.#listeners) listener(typed);
  }

  get pictures() {
    return this.info?.pictures ?? [];
  }

  /** Those that are trained. */
  get used() {
    return this.pictures.filter(({ excluded, problems }) => !excluded && !problems?.includes("corrupt"));
  }

  /** What undo would take back, or "". */
  get undoable() {
    return this.info?.undo ?? "";
  }

  get captioned() {
    return this.used.filter(({ id, caption }) => this.captionOf({ id, caption }).trim()).length;
  }

  get findings() {
    return this.info?.doctor ?? [];
  }

  picture(id) {
    return this.pictures.find((picture) => picture.id === id);
  }

  /** What was typed, also where it is not saved yet. */
  captionOf({ id, caption }) {
    return this.#unsaved.get(id) ?? caption;
  }

  get isSaved() {
    return !this.#unsaved.size && !this.#saving;
  }

  async open(name) {
    await this.flush().catch(() => {});
    this.name = name;
    this.info = null;
    await this.reload();
  }

  async reload() {
    const asked = ++this.#asked;
    let [info, problem] = [null, ""];
    try {
      info = this.name ? await get(route(this.name, `?${new URLSearchParams(this.size())}`)) : null;
    } catch (refused) {
      problem = refused.message;
    }
    if (asked !== this.#asked) return; // a newer answer is on its way
    this.problem = problem;
    this.info = info ?? (problem ? this.info : null);
    this.#tell();
  }

  /** All data sets there are; fills the list of them. */
  async list() {
    const sets = await get("datasets").catch(() => []);
    fillLists({ datasets: () => sets.map(({ name, path, pictures }) => new Option(`${folderOf(path) || name} (${pictures})`, name)) });
    return sets;
  }

  /** Make a set by `name`, or take the server's folder at `path`; gives its name. Throws `Refused`. */
  async create(wanted) {
    const made = await post("datasets", wanted);
    await this.list();
    return made.name;
  }

  /** Ask for a change, then for what came of it. Throws `Refused`. */
  async change(what, body, method = "POST") {
    await this.flush();
    const answer = await call(method, route(this.name, `/${what}`), body);
    await this.reload();
    return answer;
  }

  /** Send files; `told(fraction)` hears how far it is. Gives {added, refused}. Throws `Refused`. */
  async upload(files, told) {
    const all = { added: 0, refused: [] };
    let sent = 0;
    for (const some of portions(files)) {
      const body = new FormData();
      some.forEach((file) => body.append("files", file, file.name));
      const { added, refused } = await call("POST", route(this.name, "/pictures"), body);
      all.added += Array.isArray(added) ? added.length : added;
      all.refused.push(...refused);
      sent += some.length;
      told(sent / files.length);
    }
    await Promise.all([this.reload(), this.list()]);
    return all;
  }

  /** A caption as it is typed; saved when nothing more is typed for a moment. */
  write(id, caption) {
    this.#unsaved.set(id, caption);
    this.#save();
    this.#tell(id);
  }

  /** Save what is not saved yet. Throws `Refused`. */
  async flush() {
    await this.#saving?.catch(() => {});
    if (!this.#unsaved.size) return;
    const sent = new Map(this.#unsaved);
    this.#saving = call("PUT", route(this.name, "/captions"), Object.fromEntries(sent));
    try {
      await this.#saving;
      this.problem = "";
    } catch (refused) {
      this.problem = refused.message;
      throw refused;
    } finally {
      this.#saving = null;
      if (this.problem) this.#tell();
    }
    for (const [id, caption] of sent) {
      const picture = this.picture(id);
      if (picture) picture.caption = caption;
      if (this.#unsaved.get(id) === caption) this.#unsaved.delete(id);
    }
    await this.reload();
  }

  #saveLast() {
    if (!this.#unsaved.size) return;
    call("PUT", route(this.name, "/captions"), Object.fromEntries(this.#unsaved), true).catch(() => {});
  }

  thumbnail({ id, version }, size = 256) {
    return this.#picture(id, `thumbnail?${new URLSearchParams({ size, version })}`);
  }

  /** The picture as it is trained. */
  fitted({ id, version, crop, focus, split }, fit) {
    // What is decided about it is in the address only to ask again when it has changed.
    const decided = JSON.stringify([crop, focus, split]);
    return this.#picture(id, `fitted?${new URLSearchParams({ ...this.size(), fit, version, decided })}`);
  }

  #picture(id, rest) {
    return address(route(this.name, `/pictures/${id}/${rest}`));
  }
}

/** Files in portions that a server takes, in their order. */
function* portions(files) {
  let [some, bytes] = [[], 0];
  for (const file of files) {
    if (some.length && (some.length >= MOST_FILES || bytes + file.size > MOST_BYTES)) {
      yield some;
      [some, bytes] = [[], 0];
    }
    some.push(file);
    bytes += file.size;
  }
  if (some.length) yield some;
}

/** A folder is known by its own name, whatever the server calls it. */
export const folderOf = (path) => (path ?? "").split(/[\\/]/).filter(Boolean).pop() ?? "";

/** The sentence of a refusal; anything else is a fault and goes on. */
export function sentence(error) {
  if (!(error instanceof Refused)) throw error;
  return error.message;
}
