// What is shown is in the address and nowhere else: it can be shared, and "back" goes back. Pure functions.

export const SIZES = [10, 20, 50];
export const MODES = ["", "fused", "semantic", "keyword", "compare"];
const SINGLE = ["category", "price_min", "price_max"];

/** The state that an address' query string asks for; what it doesn't say has its default. */
export function stateOf(search) {
  const given = new URLSearchParams(search);
  const number = (name, otherwise) => (/^\d{1,6}$/.test(given.get(name) ?? "") ? Number(given.get(name)) : otherwise);
  const mode = given.get("mode") ?? "";
  return {
    q: given.get("q") ?? "",
    mode: MODES.includes(mode) ? mode : "",
    category: given.get("category") ?? "",
    brands: [...new Set(given.getAll("brand").filter(Boolean))],
    price_min: given.get("price_min") ?? "",
    price_max: given.get("price_max") ?? "",
    in_stock: given.get("in_stock") === "true",
    rerank: given.get("rerank") === "true",
    k: number("k", SIZES[0]) || SIZES[0],
    offset: number("offset", 0),
  };
}

function filtersOf(state) {
  const wanted = new URLSearchParams({ q: state.q });
  for (const name of SINGLE) if (state[name]) wanted.set(name, state[name]);
  for (const brand of state.brands) wanted.append("brand", brand);
  if (state.in_stock) wanted.set("in_stock", "true");
  if (state.rerank) wanted.set("rerank", "true");
  return wanted;
}

/** The address of a state: the shortest that gives it back. */
export function addressOf(state) {
  if (!state.q) return "./";
  const address = filtersOf(state);
  if (state.mode) address.set("mode", state.mode);
  if (state.k !== SIZES[0]) address.set("k", state.k);
  if (state.offset) address.set("offset", state.offset);
  return `?${address}`;
}

/** What to ask the gateway for; `mode` may be empty, then its policy decides. */
export function parametersOf(state, mode) {
  const wanted = filtersOf(state);
  wanted.set("k", state.k);
  if (state.offset) wanted.set("offset", state.offset);
  if (mode) wanted.set("mode", mode);
  wanted.set("facets", "true");
  wanted.set("highlight", "true");
  return wanted;
}

/** How many filters are set. */
export const filterCount = (state) =>
  SINGLE.filter((name) => state[name]).length + state.brands.length + (state.in_stock ? 1 : 0);

/** The state without its filters. */
export const unfiltered = (state) => ({
  ...state, category: "", brands: [], price_min: "", price_max: "", in_stock: false, offset: 0,
});
