// Runs before the page is drawn, so that it never flashes in the other colours.
(() => {
  const KEY = "webui-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  let configured = document.querySelector('meta[name="webui-theme"]').content;

  function dark() {
    const choice = localStorage.getItem(KEY) || configured;
    return choice === "system" ? system.matches : choice === "dark";
  }

  function apply() {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
  }

  // The button in the top bar: the other colours, and back to the system's when those are the same.
  window.addEventListener("webui-toggle-theme", () => {
    const wanted = dark() ? "light" : "dark";
    if (wanted === (system.matches ? "dark" : "light") && configured === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, wanted);
    apply();
  });
  // Everybody's may have been changed since the page was made.
  window.addEventListener("webui-everybodys-theme", ({ detail }) => {
    configured = detail;
    apply();
  });
  // What the person has chosen for all their devices.
  window.addEventListener("webui-theme", ({ detail }) => {
    if (detail === configured) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, detail);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
})();
