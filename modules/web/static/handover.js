// How a picture gets onto the canvas: dropped, pasted, or chosen.

import { one } from "./dom.js";

const easel = (root) => one(".easel", root);

/** `picture(blob)` and `mask(blob)` get what is handed over below `root`. */
export function wireHandover(root, { picture, mask }) {
  const wireFile = (id, take) => {
    const input = one(id, root);
    input.addEventListener("change", () => {
      if (input.files[0]) take(input.files[0]);
      input.value = ""; // the same file may be chosen again
    });
  };
  wireFile("#img2img-file", picture);
  wireFile("#img2img-file-other", picture);
  wireFile("#img2img-file-mask", mask);
  wireDrop(easel(root), picture);
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (!file || !easel(root).offsetParent) return;
    event.preventDefault();
    picture(file);
  });
}

// Also pictures dragged from elsewhere on the page, which arrive as an address.
function wireDrop(area, picture) {
  const over = (event, inside) => {
    const { types } = event.dataTransfer;
    if (!types.includes("Files") && !types.includes("text/uri-list")) return;
    event.preventDefault();
    area.classList.toggle("over", inside);
  };
  area.addEventListener("dragover", (event) => over(event, true));
  area.addEventListener("dragleave", (event) => over(event, false));
  area.addEventListener("drop", async (event) => {
    over(event, false);
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    const address = event.dataTransfer.getData("text/uri-list").split("\n")[0];
    if (file) picture(file);
    else if (address.startsWith(location.origin)) picture(await (await fetch(address)).blob());
  });
}
