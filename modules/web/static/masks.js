// Masks and paintings as pictures: opacity on a canvas is brightness in a mask's file.

import { pen, sheet } from "./layers.js";

const NEARLY_OPAQUE = 255;

/** A canvas as a PNG file. */
export function asBlob(canvas) {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** White where the layer is painted (`opacity` of it), black where it is not, grey between. */
export function greyOf(layer, opacity = 1) {
  const { width, height } = layer;
  const white = sheet(width, height);
  const over = pen(white);
  over.drawImage(layer, 0, 0);
  over.globalCompositeOperation = "source-in";
  over.fillStyle = "#fff";
  over.fillRect(0, 0, width, height);
  const result = sheet(width, height);
  const context = pen(result);
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  context.globalAlpha = opacity;
  context.drawImage(white, 0, 0);
  return result;
}

/** A picture with a painting over it. */
export function painted(picture, layer) {
  const result = sheet(picture.width, picture.height);
  const context = pen(result);
  context.drawImage(picture, 0, 0);
  context.drawImage(layer, 0, 0);
  return result;
}

/** A mask's file as a layer of width x height. Where the file is partly transparent its opacity is the mask, else its
 * brightness. */
export function toAlpha(mask, width, height) {
  const result = sheet(width, height);
  const context = pen(result);
  context.drawImage(mask, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  const { data } = pixels;
  let transparent = false;
  for (let i = 3; i < data.length && !transparent; i += 4) transparent = data[i] < NEARLY_OPAQUE;
  for (let i = 0; i < data.length; i += 4) {
    const value = transparent ? data[i + 3] : 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
    [data[i], data[i + 1], data[i + 2], data[i + 3]] = [0x6f, 0x7c, 0xff, value];
  }
  context.putImageData(pixels, 0, 0);
  return result;
}
