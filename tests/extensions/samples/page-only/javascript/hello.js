// In A1111's manner: a word beside Generate.
onUiLoaded(() => {
  const word = document.createElement("span");
  word.id = "hello_from_a1111";
  word.textContent = "hello";
  gradioApp().querySelector("#txt2img_generate").after(word);
});
let updates = 0;
onUiUpdate(() => {
  updates += 1;
});
onUiTabChange(() => {
  document.body.dataset.tabNow = get_uiCurrentTab()?.textContent ?? "";
});
