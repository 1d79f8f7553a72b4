/* The desk's keys. Each stands on its control (data-key): what binds it also prints the help. Never while somebody types. */
const desk = document.querySelector("[data-desk]");
const controls = [...document.querySelectorAll("[data-key]")];
const reasons = desk?.querySelector("[data-reasons]");
const said = desk?.querySelector("[data-said]");
const picture = desk?.querySelector("[data-reveal]");
let pending = null; // the act that waits for its reason
let asking = false;

const words = (control) => {
  const label = control.labels?.[0] ?? control.closest("fieldset")?.querySelector("legend") ?? control;
  const copy = (control.type === "radio" ? control.closest("fieldset").querySelector("legend") : label).cloneNode(true);
  copy.querySelectorAll("kbd, small").forEach((part) => part.remove());
  return copy.textContent.trim();
};

function ask(act) {
  pending = act;
  asking = Boolean(reasons);
  reasons?.classList.toggle("is-asked", asking);
  if (said) said.textContent = act ? `${words(act)}: ${said.dataset.choose}` : said.dataset.choose;
  reasons?.scrollIntoView({ block: "nearest" });
}

function stop() {
  pending = null;
  asking = false;
  reasons?.classList.remove("is-asked");
  if (said) said.textContent = "";
}

function choose(digit) {
  const radio = reasons.querySelector(`[data-reason="${digit}"]`);
  if (!radio) return false;
  radio.checked = true;
  const act = pending;
  stop();
  if (act) act.form.requestSubmit(act);
  return true;
}

function press(control) {
  if (control.matches("[data-against]")) ask(control);
  else if (control.type === "radio") ask(null);
  else if (control.matches("textarea")) control.focus();
  else control.click();
}

const name = (event) => {
  const digit = /^Digit(\d)$/.exec(event.code)?.[1];
  if (event.shiftKey && digit && event.key !== digit) return `Shift+${digit}`; // some keyboards shift for digits
  return event.key.length === 1 ? event.key.toUpperCase() : event.key;
};

document.addEventListener("keydown", (event) => {
  if (!desk || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  if (event.key === "Escape") {
    stop();
    desk.focus();
    return;
  }
  if (typing) return;
  if (event.key === " ") {
    if (!picture || event.target.closest("button, a, input, summary")) return;
    event.preventDefault();
    picture.classList.add("is-held");
    return;
  }
  if (event.repeat) return;
  const pressed = name(event);
  if (asking && /^\d$/.test(pressed) && choose(pressed)) { event.preventDefault(); return; }
  const control = controls.find(({ dataset }) => dataset.key === pressed);
  if (!control) return;
  event.preventDefault();
  press(control);
});
for (const type of ["keyup", "blur"]) addEventListener(type, () => picture?.classList.remove("is-held"));

const help = desk?.querySelector("[data-help]");
if (help) {
  help.hidden = false;
  for (const control of controls) {
    const row = help.querySelector("tbody").insertRow();
    row.insertCell().append(Object.assign(document.createElement("kbd"), { textContent: control.dataset.key }));
    row.insertCell().append(words(control));
  }
}
if (document.activeElement === document.body) desk?.focus({ preventScroll: true });
