// Input pictures on the server, kept there by their content: a request names them by that.

import { address, call } from "./api.js";

/** Keep a picture (a Blob) on the server; gives its name. Throws `Refused`. */
export async function keepPicture(blob) {
  const body = new FormData();
  body.append("file", blob, "picture.png");
  return (await call("POST", "inputs", body)).picture;
}

/** Address of a kept picture. */
export const inputAddress = (name) => address(`inputs/${name}`);

/** A kept picture as a Blob; null where it has gone. */
export async function keptPicture(name) {
  const response = await fetch(inputAddress(name)).catch(() => null);
  return response?.ok ? response.blob() : null;
}
