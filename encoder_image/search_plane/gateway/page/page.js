// The page: reads its address, asks, shows; every change goes through the address.

import { SIZES, addressOf, filterCount, parametersOf, stateOf, unfiltered } from "./address.js";
import { Problem, ask, reportClick } from "./asking.js";
import { COLUMNS, comparison } from "./comparing.js";
import { showFacets } from "./facets.js";
import { action, degradedNote, element, hitItem, pathBadges, releaseLine, timingBar, understoodLine } from "./showing.js";

const EXAMPLES = ["便宜的蓝牙耳机", "适合送老人的保健品", "小米手机充电器", "蓝芽耳机", "iPhone 15 手机壳", "大米 5kg"];
const AUTOMATIC_RETRIES = 5;
const SLOW_MS = 150;
// Elasticsearch counts no further.
const MOST_COUNTED = 10_000;
const by = (id) => document.getElementById(id);
const shown = by("shown");

let state = stateOf(location.search);
let asked = new AbortController();
let countdown = 0;
let retries = 0;

/** Another state; a change of anything but the page starts at the first. */
function go(changes) {
  const next = { ...state, ...changes };
  next.offset = changes.offset ?? 0;
  if (addressOf(next) !== addressOf(state)) history.pushState(null, "", addressOf(next));
  retries = 0;
  follow();
}

/** Shows what the address says. */
async function follow() {
  state = stateOf(location.search);
  asked.abort();
  clearInterval(countdown);
  asked = new AbortController();
  const { signal } = asked;
  fill();
  if (!state.q) return start();
  document.title = `${state.q} – 商品搜索`;
  const slow = setTimeout(() => shown.setAttribute("aria-busy", "true"), SLOW_MS);
  try {
    await (state.mode === "compare" ? compare(signal) : search(signal));
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    explain(error);
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) shown.removeAttribute("aria-busy");
  }
}

function start() {
  document.title = "商品搜索";
  by("side").hidden = true;
  say("");
  shown.replaceChildren(element("div", { class: "start" },
    element("p", {}, "按意思，也按词找；价格和库存是此刻的。试试："),
    element("ul", {}, EXAMPLES.map((q) => element("li", {}, element("a", { href: addressOf({ ...stateOf(""), q }) }, q))))));
}

async function search(signal) {
  const { answer, searchId } = await ask(parametersOf(state, state.mode), signal);
  const { hits } = answer;
  const first = state.offset + 1;
  showFacets(answer.facets, state, go);
  say(hits.length ? `找到商品，第 ${first} 到 ${state.offset + hits.length} 件` : "没有找到商品");
  const words = answer.total_words;
  const total = typeof words === "number" ? `　关键词命中 ${words.toLocaleString("zh-CN")}${words >= MOST_COUNTED ? "+" : ""} 件` : "";
  shown.replaceChildren(
    element("div", { class: "summary" },
      element("p", { class: "came" }, pathBadges(answer),
        element("span", { class: "count" }, hits.length ? `第 ${first}–${state.offset + hits.length} 件${total}` : ""),
        answer.dropped > 0 && element("span", { class: "count" }, `　${answer.dropped} 件已下架，未列出`)),
      understoodLine(answer) ?? "", timingBar(answer.timings_ms), releaseLine(answer)),
    degradedNote(answer),
    hits.length
      ? element("ol", { class: "hits", start: first }, hits.map((hit) =>
          hitItem(hit, { opened: () => reportClick(searchId, hit.id, hit.rank) })))
      : nothing(),
    pages(hits.length));
}

async function compare(signal) {
  const outcomes = Object.fromEntries(await Promise.all(COLUMNS.map(async ([mode]) => {
    try {
      // Whoever compares is no subject of the experiment.
      return [mode, await ask(parametersOf(state, mode), signal, { anonymous: true })];
    } catch (error) {
      if (signal.aborted || !(error instanceof Problem)) throw error;
      return [mode, { problem: error, shown: problemBox(error, null) }];
    }
  })));
  const problems = Object.values(outcomes).map((outcome) => outcome.problem);
  if (problems.every(Boolean)) throw problems[0];
  const answers = Object.values(outcomes).flatMap((outcome) => outcome.answer ?? []);
  const told = answers.find((answer) => answer.path === "fused") ?? answers[0];
  showFacets(told.facets, state, go);
  say("三种方式并排");
  shown.replaceChildren(
    element("div", { class: "summary" }, understoodLine(told) ?? "", releaseLine(told)),
    comparison(outcomes),
    pages(Math.max(...answers.map((answer) => answer.hits.length))));
}

function nothing() {
  const filtered = filterCount(state) > 0;
  const box = element("div", { class: "nothing" },
    element("p", {}, state.offset ? "没有更多了。" : filtered ? "这些筛选条件下没有商品。" : "没有找到，换个说法试试。"));
  if (state.offset) box.append(action("回到第一页", () => go({ offset: 0 })));
  else if (filtered) box.append(action("清除筛选", () => go(unfiltered(state))));
  return box;
}

function pages(found) {
  const page = Math.floor(state.offset / state.k) + 1;
  const to = (offset) => () => {
    go({ offset });
    by("results").focus();
    scrollTo(0, 0);
  };
  const back = action("上一页", to(Math.max(0, state.offset - state.k)));
  const on = action("下一页", to(state.offset + state.k));
  back.disabled = state.offset === 0;
  on.disabled = found < state.k;
  if (back.disabled && on.disabled) return "";
  return element("nav", { class: "pages", "aria-label": "翻页" }, back, element("span", { "aria-current": "page" }, `第 ${page} 页`), on);
}

const FIELDS = {
  q: ["q", "q-problem", "搜索词有误"],
  price_min: ["price-min", "price-problem", "最低价有误"],
  price_max: ["price-max", "price-problem", "最高价有误"],
};
const PARTS = { release: "还没有发布任何版本", encoder: "编码服务没有应答", milvus: "向量库没有应答", elasticsearch: "商品库没有应答" };

function problemBox(problem, retry) {
  const box = element("div", { class: "failed", role: "alert" });
  if (problem.status === 400) {
    const deep = problem.field === "offset" || problem.field === "k";
    box.append(element("p", {}, deep ? "不能翻得这么深。" : `${FIELDS[problem.field]?.[2] ?? `参数 ${problem.field} 有误`}。`),
      element("p", { class: "cause", lang: "en" }, problem.message));
    if (deep && retry) box.append(action("回到第一页", () => go({ offset: 0, k: SIZES[0] })));
    return box;
  }
  const what = problem.status === 503 ? `暂时答不了：${PARTS[problem.field] ?? "有部件没有应答"}。`
    : problem.status === 0 ? (problem.message === "timeout" ? "等了太久没有回音。" : "连不上搜索服务。")
    : "搜索服务出错了。";
  box.append(element("p", {}, what));
  if (problem.status) box.append(element("p", { class: "cause", lang: "en" }, `${problem.status}：${problem.message}`));
  if (retry) {
    const wait = element("p", { class: "wait" });
    box.append(wait, action("现在重试", retry));
    if (problem.retryAfter && retries < AUTOMATIC_RETRIES) count(wait, problem.retryAfter, () => { retries += 1; follow(); });
    else if (problem.retryAfter) wait.append("不再自动重试");
  }
  return box;
}

function count(place, seconds, then) {
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    place.replaceChildren(left > 0 ? `${left} 秒后自动重试` : "正在重试…");
    if (left > 0) return;
    clearInterval(countdown);
    then();
  };
  place.replaceChildren(`${seconds} 秒后自动重试`);
  countdown = setInterval(tick, 250);
}

function explain(problem) {
  say("");
  showFacets(undefined, state, go);
  const field = problem.status === 400 ? FIELDS[problem.field] : undefined;
  if (field) {
    const [input, place] = field;
    by(input).setAttribute("aria-invalid", "true");
    by(place).hidden = false;
    by(place).replaceChildren(`${field[2]}：`, element("span", { lang: "en" }, problem.message));
    shown.replaceChildren();
    by(input).focus();
    return;
  }
  shown.replaceChildren(problemBox(problem, () => { retries = 0; follow(); }));
}

function say(text) {
  by("status").textContent = text;
}

/** The controls as the state has them. */
function fill() {
  for (const [input, place] of Object.values(FIELDS)) {
    by(input).removeAttribute("aria-invalid");
    by(place).hidden = true;
  }
  if (document.activeElement !== by("q") || by("q").value.trim() !== state.q) by("q").value = state.q;
  for (const radio of document.getElementsByName("mode")) radio.checked = radio.value === state.mode;
  by("rerank").checked = state.rerank;
  const sizes = SIZES.includes(state.k) ? SIZES : [...SIZES, state.k];
  by("k").replaceChildren(...sizes.map((size) => element("option", { value: size, selected: size === state.k }, `${size} 件`)));
  by("in-stock").checked = state.in_stock;
  by("price-min").value = state.price_min;
  by("price-max").value = state.price_max;
  const count = filterCount(state);
  by("filters-count").textContent = count ? `（${count}）` : "";
  by("clear").hidden = count === 0;
  by("side").hidden = false;
}

function listen() {
  by("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = by("q").value.trim();
    if (q) go(q === state.q ? { q } : { ...unfiltered(state), q });
  });
  by("modes").addEventListener("change", (event) => go({ mode: event.target.value }));
  by("rerank").addEventListener("change", () => go({ rerank: by("rerank").checked }));
  by("k").addEventListener("change", () => go({ k: Number(by("k").value) }));
  by("in-stock").addEventListener("change", () => go({ in_stock: by("in-stock").checked }));
  by("filter-form").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ price_min: by("price-min").value.trim(), price_max: by("price-max").value.trim() });
  });
  by("clear").addEventListener("click", () => go(unfiltered(state)));
  addEventListener("popstate", follow);
  document.addEventListener("keydown", keys);
  if (matchMedia("(max-width: 52rem)").matches) by("filters").open = false;
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const inBox = document.activeElement === by("q");
  const typing = document.activeElement?.matches("input:not([type=checkbox]):not([type=radio]), select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    by("q").focus();
    by("q").select();
    return;
  }
  if (event.key === "Escape" && document.activeElement?.matches(".title")) {
    if (document.activeElement.getAttribute("aria-expanded") === "true") document.activeElement.click();
    else by("q").focus();
    return;
  }
  const titles = [...shown.querySelectorAll(".title")];
  const at = titles.indexOf(document.activeElement);
  if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || (at < 0 && !inBox)) return;
  const next = event.key === "ArrowDown" ? at + 1 : at - 1;
  const target = next < 0 ? by("q") : titles[Math.min(next, titles.length - 1)];
  if (!target || (inBox && event.key === "ArrowUp")) return;
  event.preventDefault();
  target.focus();
}

listen();
follow();
if (!state.q) by("q").focus();
