// The one door to the server: every request of the page goes through `call`, every refusal comes out as `Refused`.

const BASE = new URL("../../api/v1/", import.meta.url);

/** The server said no, or could not be reached: one sentence, and the field it is about where known. */
export class Refused extends Error {
  constructor(message, field = null) {
    super(message);
    this.field = field;
  }
}

export const address = (path) => new URL(path, BASE).href;

export const pictureAddress = (name) => address("images/" + name.split("/").map(encodeURIComponent).join("/"));

// Seeds have up to 19 digits, more than a JavaScript number holds: such integers stay text.
function parse(text) {
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? (context?.source ?? value)
      : value,
  );
}

async function answer(response) {
  const text = await response.text();
  try {
    return text ? parse(text) : null;
  } catch {
    return null;
  }
}

function refusal(status, data) {
  const sentence = typeof data?.detail === "string" ? data.detail : null;
  return new Refused(sentence || `The server could not do that (${status}); its log says why.`, data?.field ?? null);
}

// The session has ended: log in, and come back.
function leave() {
  const here = location.pathname + location.search;
  location.assign(here === "/" ? "/login" : `/login?next=${encodeURIComponent(here)}`);
}

/** Ask the server; `body` is JSON data or a FormData. Gives the answer's data, throws `Refused`. What is asked with
 * `keepalive` arrives even where the page is closed meanwhile. */
export async function call(method, path, body, keepalive = false) {
  const form = body instanceof FormData;
  const options = { method, credentials: "same-origin", keepalive };
  if (body !== undefined) {
    options.body = form ? body : JSON.stringify(body);
    if (!form) options.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(address(path), options);
  } catch {
    throw new Refused("The server does not answer; is it still running?");
  }
  const data = await answer(response);
  if (response.status === 401) leave();
  if (!response.ok) throw refusal(response.status, data);
  return data;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
