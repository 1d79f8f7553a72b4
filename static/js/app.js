/* What signed-in pages share: tick and tray, toasts, dialog, copy, clock, counters, "Making…". Everything starts from HTML that
   works without it, and what is not on the page is left alone. */
const doc = document;
const byId = (id) => doc.getElementById(id);
/* The clock on the wall: the server prints times in this zone. */
doc.cookie = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone};path=/;max-age=31536000;samesite=lax`;
const all = (selector, root = doc) => root.querySelectorAll(selector);

/* Tick: asks once for all requests, ever more seldom, never while hidden or idle. [until second, every so many seconds] */
const PACE = [[20, 2], [60, 3], [180, 5], [Infinity, 15]];
let since = Date.now();
let timer;
const tray = () => byId("tray");
const tick = () => tray()?.dispatchEvent(new Event("tick", { bubbles: true })); // also heard by a page: hx-trigger="tick from:body"
function pace() {
  clearTimeout(timer);
  if (!tray() || "idle" in tray().dataset || doc.hidden) return;
  const age = (Date.now() - since) / 1000;
  timer = setTimeout(() => { tick(); pace(); }, 1000 * PACE.find(([until]) => age < until)[1]);
}
function restart() { since = Date.now(); pace(); }
doc.addEventListener("visibilitychange", () => {
  if (!doc.hidden && tray() && !("idle" in tray().dataset)) tick();
  pace();
});
doc.addEventListener("htmx:afterSettle", ({ target }) => {
  if (target.id !== "tray") return;
  doc.body.dispatchEvent(new Event("tray-changed")); // a page refreshes its own part: hx-trigger="tray-changed from:body"
  pace();
});

/* Clock and bar: from data attributes, so that a swap never stops them. */
const relative = new Intl.RelativeTimeFormat(doc.documentElement.lang);
function draw() {
  for (const element of all("[data-until]")) {
    const left = (Date.parse(element.dataset.until) - Date.now()) / 1000;
    const text = left <= 0 ? "" : left < 90 ? relative.format(Math.round(left), "second") : relative.format(Math.round(left / 60), "minute");
    if (element.textContent !== text) element.textContent = text;
  }
  for (const bar of all("progress[data-started]")) {
    bar.value = Math.min(0.95, Math.max(0, Date.now() / 1000 - bar.dataset.started) / bar.dataset.span);
  }
}

/* Toasts: at most two, 6 s, longer under the pointer or the focus. */
function toasts() {
  const shown = [...all("[data-toast]")];
  shown.slice(0, -2).forEach((toast) => toast.remove());
  for (const toast of shown.slice(-2)) {
    if (toast.dataset.toast) continue;
    toast.dataset.toast = "on";
    const end = () => toast.matches(":hover, :focus-within") ? setTimeout(end, 1000) : toast.remove();
    setTimeout(end, 6000);
  }
}

/* Counters: the number always, the words once when few letters are left. */
function count(field) {
  const left = field.maxLength - field.value.length;
  byId(field.dataset.counter).textContent = `${field.value.length} / ${field.maxLength}`;
  const spoken = field.parentElement.querySelector("[data-spoken]");
  if (spoken) spoken.textContent = left <= 50 ? field.dataset.near.replace("{n}", left - left % 10) : "";
}

/* Busy buttons: new words, kept focus, no second press. */
function release(form) {
  delete form.dataset.sent;
  for (const button of all("[data-idle-text]", form)) {
    button.removeAttribute("aria-disabled");
    button.lastElementChild.textContent = button.dataset.idleText;
    delete button.dataset.idleText;
  }
}
doc.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if ("sent" in form.dataset) { event.preventDefault(); event.stopImmediatePropagation(); return; }
  if (form.method === "dialog") return;
  restart();
  if (!button?.dataset.busy) return;
  form.dataset.sent = "";
  button.setAttribute("aria-disabled", "true");
  button.dataset.idleText = button.lastElementChild.textContent;
  button.lastElementChild.textContent = button.dataset.busy;
}, true);
addEventListener("pageshow", () => all("[data-sent]").forEach(release));
doc.addEventListener("htmx:afterRequest", ({ target }) => target.matches("[data-sent]") && release(target));

/* A request of htmx that failed says so beside the control; the tray just tries again. */
for (const name of ["htmx:responseError", "htmx:sendError"]) {
  doc.addEventListener(name, ({ target, detail }) => {
    const line = byId("problem");
    if (!line || target.id === "tray") return;
    line.querySelector("[data-number]").textContent = detail.xhr.getResponseHeader("X-Request-ID") ?? "";
    (target.closest("form") ?? target).after(line);
    line.hidden = false;
  });
}
const offline = doc.querySelector("[data-offline]");
for (const name of ["online", "offline"]) addEventListener(name, () => { if (offline) offline.hidden = navigator.onLine; });

/* Dialog: <main> of the page a link leads to, under its own address; Back closes. */
const dialog = byId("dialog");
async function open(link) {
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
  if (!answer.ok || answer.redirected || answer.headers.has("HX-Refresh")) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  byId("dialog-body").replaceChildren(...(page.querySelector("main") ?? page.body).childNodes);
  dialog.setAttribute("aria-label", page.title || link.textContent);
  globalThis.htmx?.process(dialog);
  history.pushState({ dialog: true }, "", link.href);
  dialog.showModal();
}
dialog?.addEventListener("close", () => history.state?.dialog && history.back());
addEventListener("popstate", () => dialog?.close());

/* The device's own sharing, where there is one. */
if (navigator.share) doc.documentElement.dataset.canShare = "";

doc.addEventListener("click", (event) => {
  const { target } = event;
  const share = target.closest("[data-share]");
  if (share) navigator.share({ url: share.dataset.share }).catch(() => {}); // closed without a choice
  target.closest("[data-close]")?.closest("[data-toast]").remove();
  const copy = target.closest("[data-copy]");
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.lastElementChild.textContent = copy.dataset.done; });
  }
  const link = target.closest("a[data-dialog]");
  if (link && dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    open(link).catch(() => location.assign(link.href));
  }
});
doc.addEventListener("input", ({ target }) => target.matches("[data-counter]") && count(target));

function ready() { toasts(); draw(); all("[data-counter]").forEach(count); }
doc.addEventListener("htmx:load", ready);
ready();
setInterval(draw, 1000);
pace();
