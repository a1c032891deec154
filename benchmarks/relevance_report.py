"""The figures of `make eval` as people read them: tables on a terminal and in a document, and rows of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import JsonValue
from rich.table import Table

from benchmarks.relevance_bed import FUSED, Shown
from benchmarks.relevance_metrics import MEASURES, Gain, Scored, gain, mean, of_class, of_part
from benchmarks.report import Row
from sample_catalogue import QUERY_CLASSES
from sample_catalogue.judging import Part

ALL = "all"
SINGLE = ("keyword", "semantic")
SUCCESS_GOAL = 0.95
SUCCESS_CLASSES = ("brand", "synonyms")
PARTS: tuple[Part, ...] = ("tuning", "held-out")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One catalogue: how every way did on the same queries, and what each showed."""

    name: str
    results: Mapping[str, Sequence[Scored]]
    shown: Mapping[str, Mapping[str, Sequence[Shown]]]
    left_out: int

    def part(self, part: Part) -> Evaluated:
        """The same over the queries of one part."""
        results = {way: of_part(found, part) for way, found in self.results.items()}
        return Evaluated(f"{self.name}, {part}", results, self.shown, self.left_out)


def by_class(results: Sequence[Scored]) -> dict[str, list[Scored]]:
    """The queries of each class that has some, and all of them."""
    classes = {name: of_class(results, name) for name in QUERY_CLASSES}
    return {**{name: found for name, found in classes.items() if found}, ALL: list(results)}


def best_single(results: Mapping[str, Sequence[Scored]]) -> str:
    """Which of the single ways has the higher mean nDCG@10."""
    return max(SINGLE, key=lambda way: mean(results[way]).ndcg)


def gains(evaluated: Evaluated) -> dict[str, tuple[str, Gain]]:
    """Per class, the better single way and how much more nDCG@10 fused has."""
    found = {}
    for name in by_class(evaluated.results[FUSED.name]):
        of_this = {way: by_class(results)[name] for way, results in evaluated.results.items()}
        single = best_single(of_this)
        found[name] = (single, gain(of_this[FUSED.name], of_this[single]))
    return found


def table_rows(evaluated: Evaluated, measure: str) -> list[list[str]]:
    """Per class: queries, then the measure of every way, three decimals."""
    lines = []
    for name, queries in by_class(next(iter(evaluated.results.values()))).items():
        figures = [getattr(mean(by_class(results)[name]), measure) for results in evaluated.results.values()]
        lines.append([name, str(len(queries)), *(f"{figure:.3f}" for figure in figures)])
    return lines


def tables(evaluated: Evaluated) -> list[Table]:
    """One table a measure, for a terminal."""
    made = []
    for measure, title in MEASURES.items():
        table = Table(title=f"{title}: {evaluated.name}")
        for heading in ("class", "queries", *evaluated.results):
            table.add_column(heading, justify="left" if heading == "class" else "right")
        for line in table_rows(evaluated, measure):
            table.add_row(*line)
        made.append(table)
    return made


def worst(evaluated: Evaluated, count: int) -> list[list[str]]:
    """The queries that fused answers worst: text, class, nDCG@10 of every way, and the first title shown.

    Of those that may be tuned on alone: whoever looks at one that is held out can't be measured by it any more.
    """
    ranked = sorted(of_part(evaluated.results[FUSED.name], "tuning"), key=lambda result: result.figures.ndcg)
    of_way = {
        way: {result.query.text: result.figures.ndcg for result in results}
        for way, results in evaluated.results.items()
    }
    lines = []
    for result in ranked[:count]:
        text = result.query.text
        first = evaluated.shown[FUSED.name][text][:1]
        values = [f"{of_way[way][text]:.2f}" for way in evaluated.results]
        title = first[0].title if first else "-"
        lines.append([text, result.query.query_class, *values, title])
    return lines


def worst_table(evaluated: Evaluated, count: int) -> Table:
    """`worst` for a terminal."""
    table = Table(title=f"worst queries: {evaluated.name}")
    for heading in ("query", "class", *evaluated.results, "first hit"):
        table.add_column(heading)
    for line in worst(evaluated, count):
        table.add_row(*line)
    return table


def rows(evaluated: Evaluated) -> list[Row]:
    """What was asked for: fused above both single ways in every class, brands and synonyms found."""
    made = []
    for name, found in by_class(evaluated.results[FUSED.name]).items():
        ours = mean(found).ndcg
        for way in SINGLE:
            theirs = mean(by_class(evaluated.results[way])[name]).ndcg
            made.append(
                Row.compare(f"ndcg_{name}_vs_{way}", ours, way, max(theirs, 1e-9), unit="nDCG@10", goal=1.0)
            )
    for name in SUCCESS_CLASSES:
        success = mean(of_class(evaluated.results[FUSED.name], name)).success
        made.append(Row.at_least(f"success_{name}", success, SUCCESS_GOAL, unit="success@10"))
    return made


def as_json(evaluated: Evaluated) -> dict[str, JsonValue]:
    """All figures: per way and class the means, per class the gain, per query to tune on and way the nDCG@10."""
    means: dict[str, JsonValue] = {
        way: {name: _rounded(asdict(mean(found))) for name, found in by_class(results).items()}
        for way, results in evaluated.results.items()
    }
    gained: dict[str, JsonValue] = {
        name: {"over": single, **_rounded(asdict(found))}
        for name, (single, found) in gains(evaluated).items()
    }
    queries: dict[str, JsonValue] = {}
    for at, result in enumerate(evaluated.results[FUSED.name]):
        if result.query.part != "tuning":
            continue
        values: dict[str, JsonValue] = {
            way: round(results[at].figures.ndcg, 3) for way, results in evaluated.results.items()
        }
        queries[result.query.text] = values
    return {"means": means, "gain": gained, "ndcg": queries, "left_out": evaluated.left_out}


def markdown(evaluated: Evaluated, part: Part | None = None) -> str:
    """Two tables of one catalogue: nDCG@10 by class, with the gain of fused, and the other measures over all."""
    of_part_ = evaluated if part is None else evaluated.part(part)
    ways = list(of_part_.results)
    gained = gains(of_part_)
    lines = [_line(["class", "queries", *ways, "fused − better single (95 %)"]), _rule(len(ways) + 3)]
    for line in table_rows(of_part_, "ndcg"):
        single, found = gained[line[0]]
        told = f"{found.mean:+.3f} ({found.low:+.3f} … {found.high:+.3f}) over {single}"
        lines.append(_line([*line, told]))
    lines += ["", _line(["over all", *ways]), _rule(len(ways) + 1)]
    for measure, title in MEASURES.items():
        values = [f"{getattr(mean(results), measure):.3f}" for results in of_part_.results.values()]
        lines.append(_line([title, *values]))
    return "\n".join(lines)


def success_markdown(evaluated: Evaluated) -> str:
    """success@10 by class."""
    ways = list(evaluated.results)
    lines = [_line(["class", "queries", *ways]), _rule(len(ways) + 2)]
    lines += [_line(line) for line in table_rows(evaluated, "success")]
    return "\n".join(lines)


def worst_markdown(evaluated: Evaluated, count: int) -> str:
    """`worst` for a document."""
    ways = list(evaluated.results)
    lines = [_line(["query", "class", *ways, "first hit"]), _rule(len(ways) + 3)]
    lines += [_line([cell.replace("|", "/") for cell in line]) for line in worst(evaluated, count)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"


def _rounded(figures: Mapping[str, float]) -> dict[str, JsonValue]:
    return {name: round(value, 4) for name, value in figures.items()}
