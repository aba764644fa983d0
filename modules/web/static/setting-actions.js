// What some settings do beside being set: a button of their own, a question before, something at once after.

import { post } from "./api.js";
import { askForLeave, leaveProblem } from "./notify.js";
import { sound } from "./sound.js";
import { tour } from "./tour.js";
import { t } from "./words.js";

const NOT_HEARD = "No sound could be played here.";

/** Buttons: `run()` gives a sentence, or throws `Refused`; shown where `when(value)`. */
export const BUTTONS = {
  webhook_url: {
    label: "Send a test",
    when: (value) => value !== "",
    run: async () => (await post("settings/webhook/test")).said,
  },
  "mine.notify_sound": {
    label: "Play it",
    when: (value) => value,
    run: async () => ((await sound.play()) ? "" : t(NOT_HEARD)),
  },
  "mine.first_steps": {
    label: "Show them now",
    when: () => true,
    run: async () => tour.start() ?? "",
  },
};

/** Before a value is sent, in the person's click: a sentence where it cannot be had here. */
export const QUESTIONS = {
  "mine.notify": (value) => (value ? askForLeave() : ""),
};

/** What keeps a setting that is on from doing anything in this browser. */
export const PROBLEMS = {
  "mine.notify": (value) => (value ? leaveProblem() : ""),
};

/** After a value was kept. */
export const AFTERWARDS = {
  "mine.notify_sound": (value) => value && sound.play().catch(() => {}),
};
