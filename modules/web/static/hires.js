// Hires fix: what size comes of it, and the button that runs only its pass on a finished picture.

import { Refused } from "./api.js";
import { action, one, say } from "./dom.js";
import { keepPicture } from "./inputs.js";
import { t } from "./words.js";

const LATENT = 8;

/** [width, height] of the second pass over a first one of width x height, by the rules of `schema/sizes.py`. */
export function hiresSize(width, height, { scale, width: toWidth, height: toHeight }) {
  const whole = (value) => Math.max(Math.floor(value / LATENT), 1) * LATENT;
  if (!toWidth && !toHeight) return [whole(Math.floor(width * scale)), whole(Math.floor(height * scale))];
  if (!toHeight) return [whole(toWidth), whole((toWidth * height) / width)];
  if (!toWidth) return [whole((toHeight * width) / height), whole(toHeight)];
  return [whole(toWidth), whole(toHeight)];
}

/** Wire the hires section of a tab, and the button under its finished pictures. */
export function wireHires(tab) {
  const { form, root, panel } = tab;
  const line = one("[data-hires-size]", root);
  const note = one('[data-section="hires"] [data-changed]', root);
  const update = () => {
    const hires = hiresOf(form);
    const [width, height] = hiresSize(form.get("width"), form.get("height"), hires);
    const values = { w: form.get("width"), h: form.get("height"), width, height };
    line.textContent = t("From {w} × {h} to {width} × {height}", values);
    if (!form.get("hires")) return;
    const rest = note.hidden ? "" : ` · ${note.dataset.said}`;
    say(note, `${width} × ${height}${rest}`);
  };
  form.onChange(update);
  update();
  action("hires", panel).addEventListener("click", () => tab.runner.generate(() => hiresOnly(tab)));
}

function hiresOf(form) {
  const names = form.names.filter((name) => name.startsWith("hires."));
  return Object.fromEntries(names.map((name) => [name.slice("hires.".length), form.get(name)]));
}

/** The form's settings for the second pass, with the picture in sight as the first. */
async function hiresOnly(tab) {
  const { blob, reading } = await tab.parcel();
  const made = reading.request;
  if (!made) throw new Refused("This picture carries no parameters.");
  const { width, height } = reading;
  const alone = { seed: made.seed, subseed: made.subseed, width, height, batch_count: 1, batch_size: 1 };
  return { ...tab.form.values(), ...alone, hires: { ...hiresOf(tab.form), picture: await keepPicture(blob) } };
}
