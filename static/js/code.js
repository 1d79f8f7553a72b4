/* Code pages: the form sends itself when all digits are there; "Send again" rests for some seconds. */
const form = document.querySelector("[data-code]");
const field = form?.querySelector("[data-length]");
field?.addEventListener("input", () => {
  const digits = field.value.replace(/\D/g, "");
  if (digits.length === Number(field.dataset.length)) form.requestSubmit(form.querySelector("[type=submit]"));
});

for (const button of document.querySelectorAll("[data-wait]")) {
  const label = button.firstElementChild;
  const words = label.textContent;
  let left = Number(button.dataset.wait);
  const count = () => {
    button.disabled = left > 0;
    label.textContent = left > 0 ? `${words} (${left} s)` : words;
    if (left-- > 0) setTimeout(count, 1000);
  };
  count();
}
