// The filters that an answer's facets offer; what is chosen goes through the address like everything else.

import { action, element, textOf } from "./showing.js";

const by = (id) => document.getElementById(id);
const list = (value) => (Array.isArray(value) ? value : []);
const counted = (number) => (typeof number === "number" ? number.toLocaleString("zh-CN") : "");

/** Offers what the facets name (undefined: only what is chosen); a choice calls `go` with what changes. */
export function showFacets(given, state, go) {
  by("in-stock-count").textContent = counted(given?.in_stock);
  ranges(given?.price, state, go);
  values("categories", "radio", bucketsOf(given?.category, [state.category]),
    (value) => state.category === value, (value) => go({ category: value }));
  values("brands", "checkbox", bucketsOf(given?.brand, state.brands), (value) => state.brands.includes(value),
    (value, on) => go({ brands: on ? [...state.brands, value] : state.brands.filter((other) => other !== value) }));
}

/** One facet as [value, count] pairs; what is chosen is among them. */
function bucketsOf(given, chosen) {
  const known = list(given).map((one) => [textOf(one?.value), one?.count]).filter(([value]) => value);
  const missing = chosen.filter((value) => value && !known.some(([other]) => other === value));
  return [...missing.map((value) => [value, null]), ...known];
}

function ranges(given, state, go) {
  by("price-ranges").replaceChildren(...list(given).filter((range) => range?.count > 0).map(({ from, to, count }) => {
    const [low, high] = [textOf(from), textOf(to)];
    const chosen = state.price_min === low && state.price_max === high;
    const told = low && high ? `${low} – ${high}` : low ? `${low} 以上` : `${high} 以下`;
    const button = action(told, () => go(chosen ? { price_min: "", price_max: "" } : { price_min: low, price_max: high }));
    button.append(element("span", { class: "many" }, counted(count)));
    button.setAttribute("aria-pressed", String(chosen));
    return element("li", {}, button);
  }));
}

function values(id, type, buckets, chosen, choose) {
  const rows = type === "radio" && buckets.length ? [["", null], ...buckets] : buckets;
  const box = by(id);
  // Who filters by keyboard stays where they were.
  const focused = box.contains(document.activeElement) ? document.activeElement.value : null;
  box.hidden = rows.length === 0;
  box.lastElementChild.replaceChildren(...rows.map(([value, count]) => {
    const input = element("input", { type, name: id, value });
    input.checked = chosen(value);
    input.addEventListener("change", () => choose(value, input.checked));
    return element("label", { class: "row" }, input, " ", element("span", { class: "value" }, value || "全部"),
      element("span", { class: "many" }, counted(count)));
  }));
  if (focused !== null) [...box.querySelectorAll("input")].find((input) => input.value === focused)?.focus();
}
