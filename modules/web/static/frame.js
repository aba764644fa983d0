// The page's frame for keyboards and screen readers: the way past the top, landmarks, and the bar of tabs. Gradio's
// own bar has roles but no arrow keys, and its panels have no names.

import { all, make, one } from "./dom.js";

const FOLDED = "(max-width: 760px)"; // small.css

/** Mend the frame that Gradio has drawn. */
export function wireFrame(bar) {
  const main = bar.closest("main");
  // The top bar is no part of the main content, so that a reader can pass it as the banner that it is.
  main?.before(bar.closest(".block"));
  wireSkip(one("[data-skip]"));
  const tabs = new TabBar(one("#tabs > .tab-wrapper"));
  namePanels();
  new MutationObserver(namePanels).observe(one("#tabs"), { childList: true });
  document.addEventListener("toggle", tellOpener, { capture: true });
  return tabs;
}

// Past the bars into the tab in sight.
function wireSkip(link) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const panel = all("#tabs > [role=tabpanel]").find((one) => one.offsetParent);
    panel?.focus();
    panel?.scrollIntoView({ block: "start" });
  });
}

// The button of a menu says whether it is open.
function tellOpener({ target, newState }) {
  if (!target.id || !target.matches("[popover]")) return;
  for (const opener of all(`[aria-controls="${target.id}"]`)) opener.ariaExpanded = String(newState === "open");
}

// A panel is drawn when its tab is first opened.
function namePanels() {
  for (const panel of all("#tabs > [role=tabpanel]:not([aria-labelledby])")) {
    panel.setAttribute("aria-labelledby", `${panel.id}-button`);
    panel.tabIndex = -1;
  }
}

/** The tabs: one stop for Tab, walked by arrows, opened by Enter. In a narrow window the row of the open one is in
 * sight, and a button shows them all. */
class TabBar {
  #list;
  #toggle;

  constructor(wrapper) {
    wrapper.setAttribute("role", "navigation");
    wrapper.ariaLabel = "Tabs";
    this.#list = one("[role=tablist]", wrapper);
    this.#list.id = "tabs-list";
    this.#list.ariaLabel = "Tabs";
    this.#toggle = make("button", { type: "button", className: "tabs-all", textContent: "All tabs", hidden: true });
    this.#toggle.setAttribute("aria-controls", this.#list.id);
    this.#toggle.addEventListener("click", () => this.#unfold(!this.#isOpen));
    wrapper.append(this.#toggle);
    this.#list.addEventListener("keydown", (event) => this.#keys(event));
    this.#list.addEventListener("click", ({ target }) => target.closest("[role=tab]") && this.#unfold(false));
    this.#list.addEventListener("focusout", ({ relatedTarget }) => this.#list.contains(relatedTarget) || this.#update());
    const changed = { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-selected"] };
    new MutationObserver(() => this.#update()).observe(this.#list, changed);
    new ResizeObserver(() => this.#update()).observe(wrapper);
    this.#unfold(false);
  }

  get #tabs() {
    return all("[role=tab]", this.#list).filter((tab) => tab.offsetParent); // some are the owner's alone
  }

  get #isOpen() {
    return this.#toggle.getAttribute("aria-expanded") === "true";
  }

  #unfold(open) {
    this.#toggle.setAttribute("aria-expanded", String(open));
    this.#list.classList.toggle("unfolded", open);
    this.#update();
  }

  #update() {
    const tabs = this.#tabs;
    const selected = tabs.find((tab) => tab.ariaSelected === "true");
    const reached = this.#list.contains(document.activeElement) ? document.activeElement : selected;
    for (const tab of tabs) tab.tabIndex = tab === (reached ?? tabs[0]) ? 0 : -1;
    const narrow = matchMedia(FOLDED).matches;
    this.#toggle.hidden = !narrow || !tabs.length || tabs.at(-1).offsetTop === tabs[0].offsetTop;
    if (reached) this.#list.scrollTop = narrow && !this.#isOpen ? reached.offsetTop : 0;
  }

  #keys(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const tabs = this.#tabs;
    const at = tabs.indexOf(document.activeElement) + step;
    const next = Number.isFinite(step) ? tabs[(at + tabs.length) % tabs.length] : tabs.at(step > 0 ? -1 : 0);
    next.focus();
    this.#update();
  }
}
