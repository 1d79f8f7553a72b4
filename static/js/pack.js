// What one credit of a pack costs, while its price is typed.
const field = (name) => document.getElementById(`id_${name}`);
const each = document.querySelector(".field-each .readonly");

const say = () => {
  const [credits, price] = [field("credits").valueAsNumber, field("price_cents").valueAsNumber];
  const currency = field("currency").value;
  if (!(credits > 0 && price > 0 && /^[a-z]{3}$/.test(currency))) return;
  const style = { style: "currency", currency };
  const { maximumFractionDigits: digits } = new Intl.NumberFormat("en", style).resolvedOptions();
  const written = new Intl.NumberFormat("en", { ...style, maximumFractionDigits: digits + 1 });
  each.textContent = written.format(price / 10 ** digits / credits);
};

if (each && field("credits")) for (const name of ["credits", "price_cents", "currency"]) field(name).addEventListener("input", say);
