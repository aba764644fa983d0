// When something is done: said to those who listen, and, where the person wants it, a notification and a sound.

import { announcer } from "./announce.js";
import { duration } from "./dom.js";
import { endings } from "./endings.js";
import { mine } from "./mine.js";
import { pageTitle } from "./page-title.js";
import { sound } from "./sound.js";
import { shown } from "./translate.js";
import { number, t } from "./words.js";

const CLAIMS = "webui-told"; // ids of jobs that one of this browser's pages has told of
const MOST_CLAIMS = 50;
const POLITE = 400; // milliseconds that a page in the background leaves to the one that is looked at

/** Tell of all ends from now on. */
export function wireNews() {
  announcer.begin();
  endings.onEnd((end) => {
    announcer.say(end.seen ? "" : sentence(end));
    if (!end.silent && (end.state === "done" || end.state === "failed")) tell(end);
  });
  endings.begin(() => Boolean(mine.settings.notify || mine.settings.notify_sound));
}

const isLookedAt = () => !document.hidden && document.hasFocus();

async function tell(end) {
  const looked = isLookedAt();
  if (!looked) pageTitle.tell(shown(end.state === "done" ? t("Done") : t("Failed")));
  if (!looked) await new Promise((resolve) => setTimeout(resolve, POLITE));
  const isFirst = navigator.locks ? await navigator.locks.request(CLAIMS, () => claim(end.id)) : claim(end.id);
  if (!isFirst) return;
  if (mine.settings.notify_sound) sound.play().catch(() => {}); // a machine without loudspeakers
  if (mine.settings.notify && !looked) notification(end);
}

/** Whether this page is the first of this browser's to tell of that job. */
function claim(id) {
  let told = [];
  try {
    told = JSON.parse(localStorage.getItem(CLAIMS)) ?? [];
  } catch {
    // What stands there is not ours; it is written anew.
  }
  if (told.includes(id)) return false;
  localStorage.setItem(CLAIMS, JSON.stringify([...told, id].slice(-MOST_CLAIMS)));
  return true;
}

function notification(end) {
  if (!canNotify() || Notification.permission !== "granted") return;
  try {
    const body = end.state === "failed" ? shown(end.message ?? "") : "";
    const note = new Notification(shown(headline(end)), { body, tag: `webui-${end.id}` });
    note.onclick = () => {
      window.focus();
      note.close();
    };
  } catch {
    // Browsers of phones have no notifications of pages: the sound and the title have told already.
  }
}

export const canNotify = () => isSecureContext && "Notification" in window;

const NOT_SECURE = "Browsers show notifications only of pages over https or on this machine itself; here the sound and the page's title tell you.";
const NOT_THERE = "This browser has no notifications of pages; the sound and the page's title tell you.";

/** Why there are no notifications in this browser though the person wants them; "" where there are. */
export function leaveProblem() {
  if (!isSecureContext) return t(NOT_SECURE);
  if (!canNotify()) return t(NOT_THERE);
  return Notification.permission === "granted" ? "" : t("This browser has not allowed them yet: switch this off and on again to be asked.");
}

/** Ask the browser for its leave; gives a sentence where it does not give it. Call it in a click. */
export async function askForLeave() {
  if (!isSecureContext) return t(NOT_SECURE);
  if (!canNotify()) return t(NOT_THERE);
  const answer = await Notification.requestPermission();
  if (answer === "granted") return "";
  if (answer === "denied") return t("The browser refuses notifications of this page: allow them in its settings for this page, then switch this on again.");
  return t("The browser was not allowed to show notifications, so there will be none.");
}

/** What has ended, in a few words. */
function headline({ kind, state, name, pictures }) {
  if (kind === "training") {
    return state === "failed" ? t("The training of {name} has failed", { name }) : t("The training of {name} is done", { name });
  }
  if (state === "failed") return t("A job has failed");
  if (kind === "merge") return t("The merged checkpoint is done");
  if (kind === "caption") return t("The captions are done");
  if (!pictures) return t("Done");
  return pictures === 1 ? t("The picture is done") : t("{n} pictures are done", { n: number(pictures) });
}

/** What is said of an end. */
function sentence(end) {
  const { state, message, name, kind, pictures, seconds } = end;
  if (state === "cancelled") return t("Cancelled");
  if (state === "paused") return t("The training of {name} is paused", { name });
  if (state === "interrupted") {
    if (kind === "training") return t("The training of {name} was stopped", { name });
    return pictures ? t("Interrupted; {n} pictures are kept", { n: number(pictures) }) : t("Interrupted");
  }
  if (state === "failed") return t("{what}: {reason}", { what: headline(end), reason: message });
  return seconds ? t("{what}, in {time}", { what: headline(end), time: duration(seconds) }) : headline(end);
}
