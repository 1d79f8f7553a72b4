/* The viewer's keys, only while the viewer has the focus. One table both binds and prints: the control's own words are the help. */
const KEYS = [
  ["ArrowLeft", "←", "[rel=prev]"],
  ["ArrowRight", "→", "[rel=next]"],
  ["f", "F", "#heart"],
  ["d", "D", "[data-download]"],
  ["m", "M", "[data-more]"],
  ["s", "S", "[data-share-page]"],
  ["Delete", "Del", "[data-delete]"],
  ["Escape", "Esc", "[data-back]"],
  ["?", "?", "[data-keys]"],
];
const viewer = document.querySelector("[data-viewer]");
const words = (control) => control.getAttribute("aria-label") ?? (control.querySelector("span") ?? control).textContent.trim();

function help() {
  const table = document.createElement("table");
  for (const [, shown, selector] of KEYS) {
    const control = viewer.querySelector(selector);
    if (!control) continue;
    const row = table.insertRow();
    const key = document.createElement("kbd");
    key.textContent = shown;
    row.insertCell().append(key);
    row.insertCell().append(words(control));
  }
  const dialog = document.getElementById("dialog");
  const title = words(viewer.querySelector("[data-keys]"));
  const heading = Object.assign(document.createElement("h2"), { textContent: title });
  document.getElementById("dialog-body").replaceChildren(heading, table);
  dialog.setAttribute("aria-label", title);
  dialog.showModal();
}

viewer?.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const control = viewer.querySelector(KEYS.find(([key]) => key === pressed)?.[2] ?? "#none");
  if (!control) return;
  event.preventDefault();
  control.click();
});
viewer?.querySelector("[data-keys]")?.addEventListener("click", help);
if (document.activeElement === document.body) viewer?.focus({ preventScroll: true });
