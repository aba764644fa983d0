// What front-end extensions of A1111's manner find on its page: helpers by its names, and elements by its ids.
// A plain script, loaded only where an extension has a script of its own.

(() => {
  const loaded = [];
  const updated = [];
  const afterUpdate = [];
  const tabChanged = [];
  const optionsChanged = [];

  const call = (callbacks, ...values) => {
    for (const callback of callbacks) {
      try {
        callback(...values);
      } catch (error) {
        console.error("a front-end extension failed", error); // the next one is called all the same
      }
    }
  };

  // A1111's id: where that is on this page. {tab} is txt2img or img2img.
  const IDS = {
    "{tab}_prompt": '[data-knob="prompt"]',
    "{tab}_neg_prompt": '[data-knob="negative_prompt"]',
    "{tab}_generate": '[data-action="generate"]',
    "{tab}_interrupt": '[data-action="interrupt"]',
    "{tab}_skip": '[data-action="skip"]',
    "{tab}_steps": '[data-knob="steps"]',
    "{tab}_sampling": '[data-knob="sampler"]',
    "{tab}_scheduler": '[data-knob="scheduler"]',
    "{tab}_width": '[data-knob="width"]',
    "{tab}_height": '[data-knob="height"]',
    "{tab}_batch_count": '[data-knob="batch_count"]',
    "{tab}_batch_size": '[data-knob="batch_size"]',
    "{tab}_cfg_scale": '[data-knob="cfg_scale"]',
    "{tab}_seed": '[data-knob="seed"]',
    "{tab}_subseed": '[data-knob="subseed"]',
    "{tab}_subseed_strength": '[data-knob="subseed_strength"]',
    "{tab}_tiling": '[data-knob="tiling"]',
    "{tab}_script_container": '[data-section="script"]',
    "{tab}_hires_fix": '[data-section="hires"]',
    "{tab}_settings": ".sections",
    "{tab}_actions_column": "[data-run]",
  };

  // An element that has an id of its own keeps it; the A1111 id then goes to a wrapper without a box.
  function lend(element, id) {
    if (!element || document.getElementById(id)) return;
    if (!element.id) {
      element.id = id;
      return;
    }
    const wrapper = document.createElement("span");
    wrapper.style.display = "contents";
    wrapper.id = id;
    element.replaceWith(wrapper);
    wrapper.append(element);
  }

  function lendIds() {
    for (const tab of ["txt2img", "img2img"]) {
      const form = document.querySelector(`[data-panel="${tab}"]`);
      if (!form) continue;
      for (const [id, selector] of Object.entries(IDS)) lend(form.querySelector(selector), id.replace("{tab}", tab));
      lend(form, `${tab}_toprow`);
      const output = document.querySelector(`[data-panel="${tab}-output"]`);
      if (output) lend(output, `${tab}_results`);
      lend(output?.querySelector("[data-thumbs]"), `${tab}_gallery`);
    }
    for (const name of ["txt2img", "img2img", "extras", "pnginfo"]) {
      const panel = document.querySelector(`[data-panel="${name}"]`)?.closest('[role="tabpanel"]');
      if (panel) lend(panel, `tab_${name}`);
    }
    lend(document.querySelector('[data-panel="topbar"] [data-knob="checkpoint"]'), "setting_sd_model_checkpoint");
    lend(document.querySelector('[data-panel="topbar"]'), "quicksettings");
  }

  const currentTab = () => document.querySelector('#tabs [role="tab"][aria-selected="true"]');

  Object.assign(window, {
    opts: {},
    localization: {},
    gradioApp: () => document,
    onUiLoaded: (callback) => loaded.push(callback),
    onUiUpdate: (callback) => updated.push(callback),
    onAfterUiUpdate: (callback) => afterUpdate.push(callback),
    onUiTabChange: (callback) => tabChanged.push(callback),
    onOptionsChanged: (callback) => optionsChanged.push(callback),
    get_uiCurrentTab: currentTab,
    get_uiCurrentTabContent: () => document.getElementById(currentTab()?.getAttribute("aria-controls")),
    updateInput: (target) => target.dispatchEvent(new Event("input", { bubbles: true })),
  });

  async function loadOptions() {
    try {
      window.opts = await (await fetch("sdapi/v1/options", { credentials: "same-origin" })).json();
    } catch {
      window.opts = {}; // the API may be switched off
    }
    call(optionsChanged);
  }

  let timer = 0;
  let last = null;
  function watch() {
    new MutationObserver((records) => {
      call(updated, records);
      clearTimeout(timer);
      timer = setTimeout(() => call(afterUpdate), 200);
      const now = currentTab();
      if (now === last) return;
      last = now;
      lendIds();
      call(tabChanged);
    }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-selected"] });
  }

  // The page says when it is ready: see app.js.
  const ready = new MutationObserver(() => document.documentElement.dataset.webui === "ready" && begin());
  function begin() {
    ready.disconnect();
    lendIds();
    last = currentTab();
    watch();
    call(loaded);
    loadOptions();
  }
  if (document.documentElement.dataset.webui === "ready") begin();
  else ready.observe(document.documentElement, { attributes: true, attributeFilter: ["data-webui"] });
})();
