/* The Create form: price on the button, balance after it, presets. Prices are printed in the page; the server prices again.

   form[data-create]       data-available: credits one may spend
   radio [data-credits]    quality: credits of one picture          radio [data-pictures]  how many pictures
   [data-cost]             the button's label; data-one, data-other, data-batch: words with {credits} and {pictures}
   [data-after]            data-words with {before} and {after}
   [data-enough] [data-short]   shown while the credits suffice, or do not
   [data-for-style]        presets of one style                     [data-preset] [data-surprise] select[data-append]  edit the text */
const form = document.querySelector("[data-create]");

function price() {
  const credits = Number(form.querySelector("[data-credits]:checked")?.dataset.credits ?? 1);
  const pictures = Number(form.querySelector("[data-pictures]:checked")?.dataset.pictures ?? 1);
  const cost = credits * pictures;
  const before = Number(form.dataset.available);
  const fill = (words) => words.replace("{credits}", cost).replace("{pictures}", pictures).replace("{before}", before).replace("{after}", before - cost);
  for (const label of document.querySelectorAll("[data-cost]")) {
    label.textContent = fill(pictures > 1 ? label.dataset.batch : cost === 1 ? label.dataset.one : label.dataset.other);
  }
  for (const line of form.querySelectorAll("[data-after]")) line.textContent = fill(line.dataset.words);
  for (const part of form.querySelectorAll("[data-enough]")) part.hidden = cost > before;
  for (const part of form.querySelectorAll("[data-short]")) part.hidden = cost <= before;
  const style = form.querySelector("[name=style]:checked")?.value;
  for (const group of form.querySelectorAll("[data-for-style]")) group.hidden = style !== group.dataset.forStyle;
}

/* The only way of changing a text that Ctrl-Z still takes back. */
function write(text, whole) {
  const field = form.querySelector("textarea");
  field.focus();
  if (whole) field.select();
  else field.setSelectionRange(field.value.length, field.value.length);
  if (document.execCommand("insertText", false, text)) return;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

if (form) {
  form.addEventListener("change", ({ target }) => {
    if (target.matches("select[data-append]") && target.value) {
      write(form.querySelector("textarea").value.trim() ? `, ${target.value}` : target.value, false);
      target.selectedIndex = 0;
    }
    price();
  });
  form.addEventListener("click", (event) => {
    let preset = event.target.closest("[data-preset]");
    if (event.target.closest("[data-surprise]")) {
      const presets = [...form.querySelectorAll("[data-preset]")].filter((chip) => chip.checkVisibility());
      preset = presets[Math.floor(Math.random() * presets.length)];
    }
    if (!preset) return;
    event.preventDefault(); // without script a preset may be a submit button
    write(preset.dataset.preset, true);
  });
  // A page brought back by the browser still has the number of the avatar it made: a new one needs a new page.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); else price(); });
  price();
}
