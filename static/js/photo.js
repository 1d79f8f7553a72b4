/* The photo field: drop, paste, camera, preview; what is too big is said before it is sent. Nothing leaves the device here. */
for (const box of document.querySelectorAll("[data-photo]")) {
  const field = box.querySelector("[type=file]:not([data-camera])");
  const camera = box.querySelector("[data-camera]");
  const preview = box.querySelector("img");
  const name = box.querySelector("[data-name]");
  const errors = box.querySelector("[data-errors]");
  const megabytes = (bytes) => (Math.ceil(bytes / 1048576 * 10) / 10).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });

  const show = () => {
    const [file] = field.files;
    URL.revokeObjectURL(preview.src);
    preview.hidden = true;
    errors.replaceChildren();
    field.setCustomValidity("");
    if (!file) return;
    name.textContent = file.name;
    preview.src = URL.createObjectURL(file);
    const limit = Number(box.dataset.maxBytes);
    if (!limit || file.size <= limit) return;
    const line = document.createElement("li");
    line.textContent = box.dataset.tooBig.replace("{size}", megabytes(file.size)).replace("{limit}", megabytes(limit));
    errors.append(line);
    field.setCustomValidity(line.textContent);
  };
  const take = (files) => {
    if (!files?.length) return;
    const one = new DataTransfer();
    one.items.add(files[0]);
    field.files = one.files;
    show();
  };

  preview.addEventListener("load", () => { preview.hidden = false; }); // a HEIC outside Safari never loads; its name is shown
  field.addEventListener("change", show);
  camera.addEventListener("change", () => take(camera.files));
  box.addEventListener("dragover", (event) => { event.preventDefault(); box.dataset.over = ""; });
  box.addEventListener("dragleave", () => { delete box.dataset.over; });
  box.addEventListener("drop", (event) => { event.preventDefault(); delete box.dataset.over; take(event.dataTransfer.files); });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
}
