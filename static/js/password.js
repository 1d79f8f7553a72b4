/* Password fields: a switch that shows the letters, and their strength in words. */
for (const button of document.querySelectorAll("[data-show]")) {
  const field = document.getElementById(button.dataset.show);
  const show = button.textContent;
  button.addEventListener("click", () => {
    const visible = field.type === "password";
    field.type = visible ? "text" : "password";
    button.textContent = visible ? button.dataset.hide : show;
    button.setAttribute("aria-pressed", String(visible));
  });
  field.form?.addEventListener("submit", () => { field.type = "password"; }); // else browsers keep it as ordinary text
}

/* Bits of a guess by brute force: a rough word for the eye; the server has the last one. */
const KINDS = [[/[a-z]/, 26], [/[A-Z]/, 26], [/\d/, 10], [/[^A-Za-z\d]/, 33]];
function bits(text) {
  const letters = KINDS.reduce((sum, [kind, size]) => sum + (kind.test(text) ? size : 0), 0);
  return new Set(text).size < 5 ? 0 : text.length * Math.log2(letters || 1);
}
for (const line of document.querySelectorAll("[data-strength]")) {
  document.getElementById(line.dataset.strength).addEventListener("input", ({ target }) => {
    const strength = bits(target.value);
    const word = !target.value ? "" : strength < 50 ? line.dataset.weak : strength < 70 ? line.dataset.fair : line.dataset.strong;
    if (line.textContent !== word) line.textContent = word;
  });
}
