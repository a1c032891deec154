// Makes elements out of answers. Data only ever becomes text nodes and attributes' values, never markup.

// What the gateway has put around a match: characters for private use, which no title has.
const [MARK_BEGINS, MARK_ENDS] = ["\uE000", "\uE001"];
const LONGEST = 240;
const PATHS = { semantic: "语义", keyword: "关键词", fused: "融合", stored: "存档", rerank: "精排" };
const MISSING = {
  semantic: "语义检索没有应答，以下只按关键词",
  keyword: "关键词检索没有应答，以下只按语义",
  catalogue: "商品库没有应答：价格是上次刷新时的，库存和是否下架未核对",
  understood: "商品库没有应答：查询里排除的条件暂时没有用上",
  vectors: "向量库可能缺了一部分，或许还有更合适的商品",
  facets: "没能数出品牌和类目",
  highlight: "没能标出命中的词",
};
const STEPS = { understand: "理解", embed: "编码", vector: "向量", keyword: "关键词", join: "核对", rerank: "精排" };

/** An element; strings among the children become text. Only attributes that carry no code are meant to be given. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A button that does something. */
export function action(text, act) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", act);
  return button;
}

/** Whatever the catalogue holds in a field, as text; the catalogue's fields may hold anything. */
export function textOf(value, otherwise = "") {
  if (value === null || value === undefined || value === "") return otherwise;
  if (Array.isArray(value)) return value.map((part) => textOf(part)).join("、");
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** A title with its matches marked, as [text, marked] pairs; null when the highlight isn't of this title. */
export function piecesOf(title, highlight) {
  // Analyzers cut 蓝牙 in two; what touches is one match to a reader.
  const pieces = highlight.replaceAll(MARK_ENDS + MARK_BEGINS, "").split(MARK_BEGINS).flatMap((part, index) => {
    if (index === 0) return [[part, false]];
    const [marked, ...rest] = part.split(MARK_ENDS);
    return [[marked, true], [rest.join(""), false]];
  }).filter(([text]) => text);
  // The title is live, the highlight as old as Elasticsearch's last refresh.
  return pieces.map(([text]) => text).join("") === title ? pieces : null;
}

function titleOf(hit) {
  const title = textOf(hit.title, "（没有标题）");
  const pieces = typeof hit.highlight === "string" ? piecesOf(title, hit.highlight) : null;
  return pieces ? pieces.map(([text, marked]) => (marked ? element("mark", {}, text) : text)) : [title];
}

function priceOf(hit) {
  if (typeof hit.price !== "number") return element("span", { class: "price none" }, textOf(hit.price, "价格未知"));
  const [whole, cents] = hit.price.toFixed(2).split(".");
  return element("span", { class: "price" },
    element("small", {}, "¥"), Number(whole).toLocaleString("zh-CN"), element("small", {}, `.${cents}`),
    hit.stored === true && element("abbr", { title: "上次刷新时的价格" }, "旧"));
}

function stockOf(hit) {
  if (typeof hit.stock !== "number") return element("span", { class: "stock none" }, textOf(hit.stock, "库存未知"));
  return hit.stock > 0
    ? element("span", { class: "stock" }, `有货 ${hit.stock.toLocaleString("zh-CN")}`)
    : element("span", { class: "stock out" }, "缺货");
}

const rounded = (number) => (Math.abs(number) >= 100 ? number.toFixed(0) : Number(number.toPrecision(4)).toString());

function detailsOf(hit) {
  const scores = Object.entries(hit.scores ?? {}).filter(([, value]) => typeof value === "number");
  const rows = [
    ["编号", textOf(hit.id)],
    ["类目", textOf(hit.category, "—")],
    ["得分", scores.length
      ? scores.map(([name, value]) => `${PATHS[name] ?? name} ${rounded(value)}`).join("，")
      : rounded(Number(hit.score ?? 0))],
  ];
  return element("dl", { class: "details", hidden: true },
    rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/** One hit as a list item. Opening its details calls `opened` the first time. `extra` stands below the title. */
export function hitItem(hit, { opened = () => {}, extra = null } = {}) {
  const details = detailsOf(hit);
  const title = element("button", { type: "button", class: "title", "aria-expanded": "false", dir: "auto" }, titleOf(hit));
  let told = false;
  title.addEventListener("click", () => {
    details.hidden = !details.hidden;
    title.setAttribute("aria-expanded", String(!details.hidden));
    if (!details.hidden && !told) {
      told = true;
      opened(hit);
    }
  });
  const item = element("li", { class: "hit", "data-id": hit.id },
    element("span", { class: "rank", "aria-label": `第 ${hit.rank} 位` }, String(hit.rank)),
    element("div", { class: "what" }, title,
      element("p", { class: "of" },
        element("span", { class: "brand" }, textOf(hit.brand, "无品牌")),
        element("span", { class: "category" }, textOf(hit.category))),
      extra, details),
    element("div", { class: "now" }, priceOf(hit), stockOf(hit)));
  return item;
}

/** Which search answered, unless it is the expected one, and what was missing. */
export function pathBadges(answer, expected = "") {
  const degraded = Array.isArray(answer.degraded) ? answer.degraded : [];
  return [
    answer.path !== expected && element("span", { class: `badge ${answer.path in PATHS ? answer.path : ""}` }, PATHS[answer.path] ?? textOf(answer.path)),
    degraded.length > 0 && element("span", { class: "badge degraded", title: degraded.join(", ") }, "降级"),
    answer.reranked === true && element("span", { class: "badge" }, "已精排"),
    answer.cached === true && element("span", { class: "badge", title: "几秒内有人问过一样的；价格和库存仍是此刻的" }, "缓存"),
    answer.arm && element("span", { class: "badge", title: "实验分组" }, `实验组：${PATHS[answer.arm] ?? textOf(answer.arm)}`),
  ].filter(Boolean);
}

/** What was missing, in words; "" for nothing. */
export function degradedNote(answer) {
  const missing = Array.isArray(answer.degraded) ? answer.degraded : [];
  const lines = missing.map((part) => element("p", {}, MISSING[part] ?? `${textOf(part)} 没有应答`));
  return lines.length ? element("div", { class: "notice" }, lines) : "";
}

/** Where the milliseconds went, as [step, start, length]: words are looked for beside the vectors. Pure. */
export function spansOf(timings) {
  const of = (name) => (typeof timings?.[name] === "number" && timings[name] > 0 ? timings[name] : 0);
  const begun = of("understand");
  const found = begun + Math.max(of("embed") + of("vector"), of("keyword"));
  return [
    ["understand", 0, begun], ["embed", begun, of("embed")], ["vector", begun + of("embed"), of("vector")],
    ["keyword", begun, of("keyword")], ["join", found, of("join")], ["rerank", found + of("join"), of("rerank")],
  ].filter(([, , length]) => length > 0);
}

/** The timings as a bar and as words. */
export function timingBar(timings) {
  const spans = spansOf(timings);
  const total = Math.max(Number(timings?.total) || 0, ...spans.map(([, start, length]) => start + length), 0.001);
  const words = spans.map(([name, , length]) =>
    element("span", { class: "step" }, element("i", { class: name }), `${STEPS[name]} ${length.toFixed(1)}`));
  const bar = element("div", { class: "bars", "aria-hidden": "true" });
  for (const [name, start, length] of spans) {
    const part = element("i", { class: name, title: `${STEPS[name]} ${length.toFixed(1)} ms` });
    part.style.left = `${(100 * start) / total}%`;
    part.style.width = `${(100 * length) / total}%`;
    bar.append(part);
  }
  return element("div", { class: "timing" }, bar,
    element("p", {}, element("b", {}, `${total.toFixed(1)} ms`), words));
}

/** What the gateway made of the query, where that is more than the query. */
export function understoodLine(answer) {
  const known = answer.understood;
  if (!known || typeof known !== "object") return null;
  const list = (value) => (Array.isArray(value) ? value : []);
  const told = [];
  const tell = (name, ...text) => told.push(element("span", { class: "fact" }, element("b", {}, name), ...text));
  for (const each of list(known.corrections)) {
    tell("更正", element("s", {}, textOf(each?.written)), " → ", textOf(each?.meant));
  }
  if (list(known.brands).length) tell(known.brand_certain ? "品牌（确定）" : "品牌（优先）", textOf(known.brands));
  for (const group of list(known.alternatives)) {
    const [written, ...same] = list(group);
    if (same.length) tell("同义", textOf(written), " = ", textOf(same));
  }
  if (list(known.whole).length) tell("整词", textOf(known.whole));
  if (list(known.excluded).length) tell("不要", textOf(known.excluded));
  if (list(known.excluded_brands).length) tell("不要的品牌", textOf(known.excluded_brands));
  const [least, most] = [known.price_min, known.price_max].map((sum) => (typeof sum === "number" ? `¥${sum}` : ""));
  if (least || most) tell("价格", least && most ? `${least} – ${most}` : least ? `${least} 起` : `${most} 以内`);
  if (known.price === "low") tell("价格", "偏低的优先");
  if (known.price === "high") tell("价格", "偏高的优先");
  return told.length ? element("p", { class: "understood" }, told) : null;
}

/** Which release answered. */
export function releaseLine(answer) {
  const fingerprint = textOf(answer.fingerprint);
  return element("p", { class: "release" },
    "版本 ", element("code", {}, textOf(answer.release, "—")),
    "　指纹 ", element("code", { title: fingerprint }, fingerprint.replace(/^sha256:/, "").slice(0, 12) || "—"),
    answer.policy && ["　策略 ", element("code", {}, textOf(answer.policy))]);
}
