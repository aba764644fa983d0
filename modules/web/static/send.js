// Pictures sent from tab to tab: each tab says what it does with one, nobody needs to know the others.

import { Refused } from "./api.js";
import { all } from "./dom.js";
import { readPicture } from "./reading.js";
import { t } from "./words.js";

const receivers = new Map();

/** `take({blob, reading})` gets pictures sent to `name`; `reading` is what the picture says of its making. */
export function receive(name, take) {
  receivers.set(name, take);
}

/** Send a picture (a Blob) on its way; `reading` is found out where it is not known. Throws `Refused`. */
export async function send(name, blob, reading = null) {
  const take = receivers.get(name);
  if (!take) throw new Refused(t("There is no tab named {name}.", { name }));
  await take({ blob, reading: reading ?? (await readPicture(blob)) });
}

/** Wire the buttons "to-NAME" below `root`: `parcel()` gives {blob, reading}, `refused(error)` hears what went wrong.
 * Where nobody receives, the button is not shown. */
export function wireSends(root, parcel, refused) {
  for (const button of all('[data-action^="to-"]', root)) {
    const name = button.dataset.action.slice("to-".length);
    button.hidden = !receivers.has(name);
    button.addEventListener("click", async () => {
      try {
        const { blob, reading } = await parcel();
        await send(name, blob, reading);
      } catch (error) {
        refused(error);
      }
    });
  }
}

/** A request without its parts: what fits every tab that draws. */
export function withoutParts(request) {
  const { image, inpaint, soft_inpaint, hires, refiner, ...common } = tidy(request);
  return common;
}

/** A request without numbers that were drawn but did nothing. */
export function tidy(request) {
  return request.subseed_strength ? request : { ...request, subseed: -1 };
}
