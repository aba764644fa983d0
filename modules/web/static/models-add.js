// The dialog that brings a model file in: sent from this device, by its path on the server, or from a link.

import { address, post } from "./api.js";
import { action, all, make, one, say } from "./dom.js";
import { size } from "./details.js";

const WHERE = {
  upload: "A file that is sent is looked at before it is taken in; nothing in it is run.",
  path: "The server reads the file itself; it is looked at before it is taken in.",
  link: "Gated models need your token in an environment variable of the server: see docs/models.md.",
};

export class Adding {
  #dialog;
  #tasks;
  #files = [];
  #number = 0;

  constructor(dialog, tasks) {
    this.#dialog = dialog;
    this.#tasks = tasks;
    action("models-adding-close", dialog).addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    for (const way of all("[name=models-way]", dialog)) way.addEventListener("change", () => this.#show());
    const chooser = one("[data-models-files]", dialog);
    chooser.addEventListener("change", () => {
      this.#choose([...chooser.files]);
      chooser.value = "";
    });
    this.#wireDrop(one("[data-models-drop]", dialog));
    one("[data-models-form]", dialog).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin();
    });
  }

  open() {
    this.#choose([]);
    this.#show();
    this.#dialog.showModal();
  }

  get #way() {
    return one("[name=models-way]:checked", this.#dialog).value;
  }

  #value(name) {
    return one(`[data-models-new-${name}]`, this.#dialog).value.trim();
  }

  #show() {
    const way = this.#way;
    for (const part of all("[data-way]", this.#dialog)) part.hidden = part.dataset.way !== way;
    one("#models-new-hash", this.#dialog).closest(".field").hidden = way === "path";
    one("[data-models-where]", this.#dialog).textContent = WHERE[way];
    this.#say("");
  }

  #say(sentence) {
    say(one("[data-models-adding-problem]", this.#dialog), sentence);
  }

  // The browser drops a file beside its input as well.
  #wireDrop(area) {
    for (const kind of ["dragover", "dragleave", "drop"]) {
      area.addEventListener(kind, (event) => {
        event.preventDefault();
        area.classList.toggle("over", kind === "dragover");
        if (kind === "drop") this.#choose([...event.dataTransfer.files]);
      });
    }
  }

  #choose(files) {
    this.#files = files;
    one("[data-models-chosen]", this.#dialog).replaceChildren(...files.map((file) => make("li", { textContent: `${file.name} · ${size(file.size) || "0 B"}` })));
    one("[data-models-new-name]", this.#dialog).disabled = files.length > 1;
    this.#say("");
  }

  async #begin() {
    const begin = one("[data-models-begin]", this.#dialog);
    begin.disabled = true;
    this.#say("");
    try {
      await { upload: () => this.#upload(), path: () => this.#path(), link: () => this.#link() }[this.#way]();
      this.#dialog.close();
      for (const name of ["name", "hash", "path", "link"]) one(`[data-models-new-${name}]`, this.#dialog).value = "";
    } catch (refused) {
      this.#say(refused.message);
    }
    begin.disabled = false;
    this.#tasks.look();
  }

  #about() {
    return { kind: this.#value("kind") || null, name: this.#value("name") };
  }

  async #path() {
    await post("models/import", { ...this.#about(), path: this.#value("path"), keep: one("[data-models-new-keep]", this.#dialog).checked });
  }

  async #link() {
    await post("models/download", { ...this.#about(), url: this.#value("link"), sha256: this.#value("hash") });
  }

  // Names and sizes are asked about before gigabytes are sent.
  async #upload() {
    if (!this.#files.length) throw new Error("Choose a file first.");
    const { kind, name } = this.#about();
    const sha256 = this.#files.length === 1 ? this.#value("hash") : "";
    const orders = this.#files.map((file) => ({ file, about: { kind, sha256, name: (this.#files.length === 1 && name) || file.name } }));
    for (const { file, about } of orders) await post("models/check", { ...about, size: file.size });
    this.#send(orders);
  }

  async #send(orders) {
    for (const { file, about } of orders) await this.#sendOne(file, about);
  }

  // XMLHttpRequest, because fetch does not tell how much has been sent.
  #sendOne(file, { kind, name, sha256 }) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const asked = new URLSearchParams({ name, ...(kind && { kind }), ...(sha256 && { sha256 }) });
      const upload = { id: `upload-${++this.#number}`, label: name, state: "running", done: 0, total: file.size, sentence: "" };
      const show = (facts) => this.#tasks.show(Object.assign(upload, facts));
      upload.cancel = () => {
        request.abort();
        this.#tasks.forget(upload.id);
      };
      request.upload.addEventListener("progress", ({ loaded }) => {
        upload.done = loaded;
        show({ sentence: loaded === file.size ? "The file is being checked." : "" });
      });
      request.addEventListener("loadend", () => {
        if (request.status === 201) {
          this.#tasks.forget(upload.id);
          this.#tasks.arrived();
        } else if (request.status) show({ state: "failed", sentence: refusal(request.responseText) });
        else if (!request.aborted) show({ state: "failed", sentence: "The connection broke off; nothing was kept. Send the file again." });
        resolve();
      });
      request.addEventListener("abort", () => {
        request.aborted = true;
      });
      request.open("PUT", address(`models/upload?${asked}`));
      request.setRequestHeader("Content-Type", "application/octet-stream");
      show({});
      request.send(file);
    });
  }
}

function refusal(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return "The server could not take the file; its log says why.";
  }
}
