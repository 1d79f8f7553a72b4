// Opens the passkey buttons once allauth's scripts listen to them, and says in words why a passkey did not work; those scripts
// only tell the console.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-waits]")) button.disabled = false;
});

const place = document.querySelector("[data-passkey-problem]");

const say = (what) => {
  place.textContent = place.dataset[what];
  place.hidden = false;
};

if (place) {
  // Browsers use no passkey at an address of numbers, and some never answer there.
  if ("early" in place.dataset && /^[\d.]+$|^\[/.test(location.hostname)) say("address");
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    const { name } = event.detail.exception;
    say(name === "SecurityError" ? "address" : name === "InvalidStateError" ? "known" : "stopped");
  });
}
