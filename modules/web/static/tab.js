// A tab that draws pictures: its form, its pictures, and the run bar between them.

import { post, Refused } from "./api.js";
import { action, one, openTab, say } from "./dom.js";
import { Form, showChanges } from "./fields.js";
import { seedOf } from "./infotext.js";
import { fillListsIn } from "./lists.js";
import { remember } from "./memory.js";
import { mine } from "./mine.js";
import { Output } from "./output.js";
import { Presets } from "./presets.js";
import { readPicture } from "./reading.js";
import { wirePrompts } from "./prompt.js";
import { Runner } from "./run.js";
import { tidy, wireSends } from "./send.js";
import { Scripts, baseOf } from "./scripts.js";
import { Styles } from "./styles.js";
import { followNativeSize, wireSizeHint } from "./topbar.js";

const PROMPTS = ["prompt", "negative_prompt", "styles"];

export class DrawTab {
  /** `order(form)` and `mine(job)`: see `Runner`. */
  constructor(name, root, panel, models, { order = (form) => form.values(), mine = () => true } = {}) {
    this.name = name;
    this.root = root;
    this.panel = panel;
    this.form = new Form(root, models.form);
    this.styles = new Styles(this.form, root);
    this.output = new Output(panel);
    const run = one("[data-run]", root);
    this.scripts = new Scripts(this.form, root);
    this.runner = new Runner({
      form: this.form,
      output: this.output,
      panel,
      run,
      mine: (job) => mine({ ...job, request: baseOf(job.request) }),
      order: async () => [await order(this.form)].flat().map((request) => this.scripts.order(request)),
    });
    fillListsIn(root);
    showChanges(this.form, root);
    followNativeSize(this.form, models);
    this.presets = new Presets(name, this.form, models.form, root);
    wireSizeHint(this.form, models, root);
    this.#wireTools();
    this.#wireDrop();
  }

  /** Fill the form with what was typed last, and find the newest job again. */
  async open() {
    await mine.load();
    const use = () => this.form.useDefaults(mine.forms[this.name] ?? {});
    use();
    mine.onChange(use);
    await remember(this.form, this.name);
    wirePrompts(this.form, this.root, (name) => this.styles.use(name));
  }

  get isInSight() {
    return this.root.offsetParent !== null;
  }

  /** One sentence beside Generate. */
  say(sentence) {
    say(one("[data-run-problem]", this.root), sentence);
  }

  /** Fill the form with a picture's request, and come into sight. */
  use({ request, notices }, chosen = request) {
    if (!request) throw new Refused("This picture carries no parameters.");
    this.form.fill(tidy(chosen));
    this.say(notices.join(" "));
    openTab(`tab-${this.name}`);
  }

  /** The picture in sight, and what it says of its making. */
  async parcel() {
    const blob = await (await fetch(this.output.source)).blob();
    return { blob, reading: await readPicture(blob) };
  }

  /** Wire the buttons under the picture; `useAgain(reading)` draws a picture's request again in the right tab. */
  wireSending(useAgain) {
    const refused = (error) => this.say(error.message);
    wireSends(this.panel, () => this.parcel(), refused);
    const again = () => this.parcel().then(({ reading }) => useAgain(reading));
    action("reuse", this.panel).addEventListener("click", () => again().catch(refused));
  }

  #wireTools() {
    const { form, root, output } = this;
    const on = (name, work) => action(name, root).addEventListener("click", work);
    on("swap", () => form.fill({ width: form.get("height"), height: form.get("width") }));
    on("dice", () => form.fill({ seed: -1 }));
    on("recycle", () => {
      const seed = output.current && seedOf(output.current.infotext);
      if (seed) form.fill({ seed });
    });
    on("clear", () => form.fill({ prompt: "", negative_prompt: "", styles: [] }));
    on("reset", () => form.reset(form.names.filter((name) => !PROMPTS.includes(name) && !form.field(name).isLocal)));
    on("paste", () => this.#pasteText().catch((error) => this.say(error.message)));
  }

  // The arrow in the prompt's corner: a text with parameters becomes the form.
  async #pasteText() {
    const { request, notices } = await post("infotext", { text: this.form.get("prompt") });
    this.form.fill(request);
    this.say(notices.join(" "));
  }

  // A picture dropped on the form fills it.
  #wireDrop() {
    const carriesFile = (event) => event.dataTransfer.types.includes("Files");
    this.root.addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault());
    this.root.addEventListener("drop", async (event) => {
      if (!carriesFile(event) || event.defaultPrevented) return;
      event.preventDefault();
      await readPicture(event.dataTransfer.files[0])
        .then((reading) => this.use(reading))
        .catch((error) => this.say(error.message));
    });
  }
}
