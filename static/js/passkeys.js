// Says in words why a passkey did not work; allauth's own scripts only tell the console.
const place = document.querySelector("[data-passkey-problem]");

document.addEventListener("allauth.error", (event) => {
  if (!place) return;
  event.preventDefault();
  const { name } = event.detail.exception;
  place.textContent = place.dataset[name === "SecurityError" ? "address" : name === "InvalidStateError" ? "known" : "stopped"];
  place.hidden = false;
});
