/* Photo and avatar: the range and the three buttons move one edge. The range is drawn over the pictures and never seen. */
for (const compare of document.querySelectorAll("[data-compare]")) {
  const range = compare.querySelector("input");
  const buttons = compare.querySelectorAll("[data-reveal]");
  const reveal = () => {
    compare.style.setProperty("--reveal", `${range.value}%`);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.reveal === range.value));
  };
  range.addEventListener("input", reveal);
  for (const button of buttons) {
    button.addEventListener("click", () => { range.value = button.dataset.reveal; reveal(); });
  }
  range.addEventListener("keydown", (event) => {
    const step = { PageUp: 10, PageDown: -10 }[event.key];
    if (!step) return;
    event.preventDefault();
    range.value = Number(range.value) + step;
    reveal();
  });
  reveal();
}
