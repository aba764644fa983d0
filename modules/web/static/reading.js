// What a picture says of its making.

import { call } from "./api.js";

/** Ask the server what a picture (a Blob) or a pasted text says: {text, request, notices, source}. */
export function readPicture(blob, name = "picture.png") {
  const body = new FormData();
  body.append("file", blob, name);
  return call("POST", "png-info", body);
}
