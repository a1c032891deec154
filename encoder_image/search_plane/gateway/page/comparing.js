// The same query three ways, side by side, and where the ranks differ.

import { degradedNote, element, hitItem, pathBadges, timingBar } from "./showing.js";

export const COLUMNS = [["semantic", "语义"], ["keyword", "关键词"], ["fused", "融合"]];

/** Ranks by id: {id: {semantic: 3, fused: 1}}. Pure; columns without an answer have none. */
export function ranksOf(answers) {
  const ranks = {};
  for (const [mode, answer] of Object.entries(answers)) {
    for (const hit of answer?.hits ?? []) (ranks[hit.id] ??= {})[mode] = hit.rank;
  }
  return ranks;
}

function difference(mode, ranks, answers) {
  const others = COLUMNS.filter(([other]) => other !== mode && answers[other]);
  const marks = others.map(([other, name]) => {
    const rank = ranks[other];
    if (rank === undefined) return element("span", { class: "elsewhere absent" }, `${name} 无`);
    const by = rank - ranks[mode];
    const [kind, sign] = by > 0 ? ["above", `▲${by}`] : by < 0 ? ["below", `▼${-by}`] : ["same", "＝"];
    const told = by > 0 ? `这里靠前 ${by} 位` : by < 0 ? `这里靠后 ${-by} 位` : "名次相同";
    return element("span", { class: `elsewhere ${kind}`, title: told }, `${name} #${rank} `, element("b", {}, sign));
  });
  const alone = others.length > 0 && others.every(([other]) => ranks[other] === undefined);
  return element("p", { class: "differences" }, alone ? element("span", { class: "elsewhere alone" }, "仅此列") : null, marks);
}

/** The three columns. `outcomes` has for each mode {answer} or {shown}, an element that says why there is none. */
export function comparison(outcomes) {
  const answers = Object.fromEntries(COLUMNS.map(([mode]) => [mode, outcomes[mode].answer ?? null]));
  const ranks = ranksOf(answers);
  const columns = COLUMNS.map(([mode, name]) => {
    const answer = answers[mode];
    const head = element("h2", { id: `column-${mode}` }, name);
    const column = element("section", { class: `column ${mode}`, "aria-labelledby": `column-${mode}`, tabindex: "0" }, head);
    if (!answer) {
      column.append(outcomes[mode].shown);
      return column;
    }
    head.append(" ", ...pathBadges(answer, mode));
    column.append(timingBar(answer.timings_ms), degradedNote(answer));
    column.append(answer.hits.length
      ? element("ol", { class: "hits" }, answer.hits.map((hit) =>
          hitItem(hit, { extra: difference(mode, ranks[hit.id], answers) })))
      : element("p", { class: "nothing" }, "没有找到"));
    return column;
  });
  const legend = element("p", { class: "legend" }, "▲▼：同一件商品在这一列比在那一列靠前、靠后几位。指着或选中一件，另两列的它会亮起来。");
  const made = element("div", {}, legend, element("div", { class: "comparison" }, columns));
  const mark = (event) => {
    const id = event.type === "pointerleave" ? undefined : event.target.closest?.("[data-id]")?.dataset.id;
    for (const item of made.querySelectorAll("[data-id]")) item.classList.toggle("twin", item.dataset.id === id);
  };
  for (const when of ["pointerover", "focusin", "pointerleave"]) made.addEventListener(when, mark);
  return made;
}
