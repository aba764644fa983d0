// PNG Info: read the text in a picture, and send it to txt2img.

import { action, copy, flash, one, say } from "./dom.js";
import { showInfotext } from "./infotext.js";
import { readPicture } from "./reading.js";
import { wireSends } from "./send.js";

export class PngInfo {
  #panel;
  #reading = null;

  #blob = null;

  /** `again(reading)` draws what was read once more. */
  constructor(panel, again) {
    this.#panel = panel;
    const drop = one("[data-drop]", panel);
    const file = one("#pnginfo-file", panel);
    file.addEventListener("change", () => file.files[0] && this.read(file.files[0]));
    drop.addEventListener("dragover", (event) => this.#over(event, true));
    drop.addEventListener("dragleave", (event) => this.#over(event, false));
    drop.addEventListener("drop", (event) => this.#dropped(event));
    document.addEventListener("paste", (event) => this.#pasted(event));
    action("again", panel).addEventListener("click", () => again(this.#reading));
    const refused = (error) => say(one("[data-pnginfo-problem]", panel), error.message);
    wireSends(panel, () => ({ blob: this.#blob, reading: this.#reading }), refused);
    action("copy-pnginfo", panel).addEventListener("click", async (event) => {
      const button = event.currentTarget;
      flash(button, (await copy(this.#reading.text)) ? "Copied" : "Not allowed");
    });
  }

  #over(event, inside) {
    event.preventDefault();
    one("[data-drop]", this.#panel).classList.toggle("over", inside);
  }

  #dropped(event) {
    this.#over(event, false);
    const file = event.dataTransfer.files[0];
    if (file) this.read(file);
  }

  #pasted(event) {
    const file = event.clipboardData.files[0];
    if (file && this.#panel.offsetParent) this.read(file);
  }

  /** Show a picture and its text. */
  async read(blob) {
    this.#blob = blob;
    this.#picture(blob);
    this.#show(null, "");
    try {
      this.#show(await readPicture(blob, blob.name), "");
    } catch (refused) {
      this.#show(null, refused.message);
    }
  }

  #picture(blob) {
    const image = one("[data-dropped]", this.#panel);
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(blob);
    image.hidden = false;
    one("[data-drop]", this.#panel).classList.add("filled");
    one("[data-drop-call] b", this.#panel).textContent = "Drop another picture";
  }

  #show(reading, problem) {
    this.#reading = reading;
    const text = reading?.text ?? "";
    say(one("[data-pnginfo-problem]", this.#panel), problem);
    say(one("[data-pnginfo-empty]", this.#panel), reading && !text ? "This picture carries no parameters." : "");
    one("[data-pnginfo-result]", this.#panel).hidden = !text;
    one("[data-pnginfo-sends]", this.#panel).hidden = !reading;
    if (!text) return;
    showInfotext(one("[data-pnginfo-text]", this.#panel), text);
    action("again", this.#panel).disabled = !reading.request;
    say(one("[data-pnginfo-source]", this.#panel), reading.notices.join(" "));
  }
}
