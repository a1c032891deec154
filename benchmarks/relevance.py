"""How relevant the answers are, way by way: `python -m benchmarks.relevance` (`make eval`).

Real Elasticsearch, Milvus, Chinese encoder, jobs and gateway over two made-up catalogues. Every judged query is asked
by words only, by meaning only, and fused (and re-ranked, where a re-ranker is given); the grades come from rules over
the labels of the products, which no part of the search ever sees.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from pydantic import JsonValue
from rich.console import Console
from search_plane.release.policy import BreakerPolicy, RerankerPolicy, SearchPolicy

from benchmarks.build import stores
from benchmarks.relevance_bed import FUSED, KEYWORD, RERANKED, SEMANTIC, Shown, answers, open_shop
from benchmarks.relevance_metrics import Scored, grades_of, recall_ceiling, scored
from benchmarks.relevance_plot import plot
from benchmarks.relevance_report import (
    PARTS,
    Evaluated,
    as_json,
    gains,
    markdown,
    rows,
    success_markdown,
    tables,
    worst_markdown,
    worst_table,
)
from benchmarks.report import RESULTS, write
from sample_catalogue import JUDGED_QUERIES, JudgedQuery, generate
from sample_catalogue.judging import Part
from sample_catalogue.synonyms import SYNONYMS
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.bge import bge_weights

WORST = 20
BEGINS, ENDS = "<!-- figures of make eval: begin -->", "<!-- figures of make eval: end -->"

console = Console(stderr=True, width=170)


def evaluate(
    products: int,
    seed: int,
    policy: SearchPolicy,
    encoder: EncoderServer,
    stores: tuple[str, str],
    home: Path,
    queries: Sequence[JudgedQuery],
) -> Evaluated:
    """Asks one catalogue's shop these judged queries every way."""
    catalogue = list(generate(products, seed))
    grades = grades_of(queries, catalogue)
    ways = [KEYWORD, SEMANTIC, FUSED, *([RERANKED] if policy.reranker else [])]
    results: dict[str, list[Scored]] = {}
    shown: dict[str, dict[str, list[Shown]]] = {}
    console.print(f"building {products:,} products of seed {seed}")
    with open_shop(products, seed, policy, encoder, stores, home) as gateway:
        for way in ways:
            console.print(f"asking {len(grades)} queries: {way.name}")
            shown[way.name] = answers(gateway, way, list(grades))
            hits = {text: [one.id for one in found] for text, found in shown[way.name].items()}
            results[way.name] = scored(queries, grades, hits)
    ceiling = sum(map(recall_ceiling, grades.values())) / len(grades)
    console.print(f"recall@100 can't exceed {ceiling:.3f}: many queries have more exact answers than 100")
    name = f"{products:,} products, seed {seed}"
    return Evaluated(name, results, shown, len(queries) - len(grades))


def written_into(document: str, figures: str) -> str:
    """The document with what is between its two marks replaced. Raises ValueError when it lacks the marks."""
    before, begins, rest = document.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"the document lacks the marks {BEGINS} and {ENDS}")
    return f"{before}{BEGINS}\n\n{figures}\n\n{ENDS}{after}"


def document(first: Evaluated, second: Evaluated | None) -> str:
    """The figures as a document tells them."""
    parts = [
        f"### {first.name}, queries held out\n\n{markdown(first, 'held-out')}",
        f"### {first.name}, queries tuned on\n\n{markdown(first, 'tuning')}",
        f"### {first.name}, all queries: success@10\n\n{success_markdown(first)}",
    ]
    if second is not None:
        parts.insert(1, f"### {second.name}, queries held out\n\n{markdown(second, 'held-out')}")
        parts.insert(3, f"### {second.name}, queries tuned on\n\n{markdown(second, 'tuning')}")
    parts.append(
        f"### The {WORST} worst queries of those tuned on ({first.name})\n\n{worst_markdown(first, WORST)}"
    )
    return "\n\n".join(parts)


@click.command(help=__doc__)
@click.option("--products", default=5000, show_default=True, help="In the first catalogue.")
@click.option("--seed", default=7, show_default=True, help="Of the first catalogue.")
@click.option("--second-products", default=3000, show_default=True, help="In the second; 0: none.")
@click.option("--second-seed", default=11, show_default=True, help="Of the second.")
@click.option("--without-synonyms", is_flag=True, help="As if the resource declared no synonyms.")
@click.option("--semantic-weight", type=float, help="In the fusion, instead of the policy's.")
@click.option("--only", type=click.Choice(PARTS), help="One part of the queries, as while tuning.")
@click.option("--reranker", metavar="URL", help="A re-ranking server; without one nothing is re-ranked.")
@click.option(
    "--results", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=False
)
@click.option(
    "--docs", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Write figures here too."
)
def main(
    products: int,
    seed: int,
    second_products: int,
    second_seed: int,
    without_synonyms: bool,
    semantic_weight: float | None,
    only: Part | None,
    reranker: str | None,
    results: Path,
    docs: Path | None,
) -> None:
    """Evaluates both catalogues; the command's help is the module's."""
    # Here the machine is slow, which is no reason to answer by words alone.
    policy = SearchPolicy(
        synonyms=() if without_synonyms else SYNONYMS, breaker=BreakerPolicy(latency_ms=60_000)
    )
    if semantic_weight is not None:
        weights = {"semantic_weight": semantic_weight, "keyword_weight": 1.0 - semantic_weight}
        policy = policy.model_copy(update={"fusion": policy.fusion.model_copy(update=weights)})
    if reranker:
        patient = RerankerPolicy(url=reranker, max_share=1.0, timeout_ms=20_000)
        policy = policy.model_copy(update={"reranker": patient})
    queries = [query for query in JUDGED_QUERIES if only in (None, query.part)]
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        home = Path(scratch)
        addresses = stack.enter_context(stores())
        encoder = stack.enter_context(EncoderServer(bge_weights(), home))
        wanted = [(products, seed)] + ([(second_products, second_seed)] if second_products else [])
        evaluated = [evaluate(*each, policy, encoder, addresses, home, queries) for each in wanted]

    first, second = evaluated[0], evaluated[1] if len(evaluated) > 1 else None
    for one in evaluated:
        for part in () if only else PARTS:
            console.print(tables(one.part(part))[0])
        for table in tables(one):
            console.print(table)
        for name, (single, found) in gains(one).items():
            console.print(
                f"  fused over {single}, {name}: {found.mean:+.3f} ({found.low:+.3f} … {found.high:+.3f})"
            )
        console.print(worst_table(one, WORST))
    notes: dict[str, JsonValue] = {
        "catalogue": "made-up products of sample_catalogue",
        "encoder": encoder.identity.model,
        "queries": len(queries),
        "policy": policy.model_dump(mode="json"),
    }
    for one in evaluated:
        notes[one.name] = as_json(one)
        notes |= {} if only else {f"{one.name}, {part}": as_json(one.part(part)) for part in PARTS}
    write("relevance", rows(first), notes=notes, results=results)
    plot(results / "relevance.png", evaluated)
    if docs and only is None:
        docs.write_text(written_into(docs.read_text("utf-8"), document(first, second)), encoding="utf-8")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.relevance")
