// One's own waiting jobs in another order, by mouse. The buttons of a row do the same for fingers and keys.

import { all } from "./dom.js";

/** `move(id, place)` is called where a row was dropped: its new place among one's own, 1 is the first. */
export function dragRows(list, move) {
  let dragged = null;
  const own = () => all("[data-job]", list).filter((row) => row.dataset.job);
  const clear = () => own().forEach((row) => row.classList.remove("above", "below"));
  const target = (event) => own().find((row) => row !== dragged && row.contains(event.target));
  const isBelow = (event, row) => event.clientY > row.getBoundingClientRect().top + row.offsetHeight / 2;

  list.addEventListener("dragstart", (event) => {
    dragged = own().find((row) => row === event.target) ?? null;
    if (dragged) event.dataTransfer.setData("text/plain", "");
    if (dragged) event.dataTransfer.effectAllowed = "move";
  });
  list.addEventListener("dragover", (event) => {
    const row = dragged && target(event);
    clear();
    if (!row) return;
    event.preventDefault();
    row.classList.add(isBelow(event, row) ? "below" : "above");
  });
  list.addEventListener("drop", (event) => {
    const row = dragged && target(event);
    if (!row) return;
    event.preventDefault();
    const others = own().filter((other) => other !== dragged);
    move(dragged.dataset.job, others.indexOf(row) + (isBelow(event, row) ? 2 : 1));
  });
  list.addEventListener("dragend", () => {
    dragged = null;
    clear();
  });
}
