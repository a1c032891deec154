"""Tries other ways of fusing in seconds: `python -m benchmarks.relevance_replay record FILE`, then `... show FILE`.

Recorded is what either search alone finds for the queries that may be tuned on, with its own scores, from a real shop.
Replayed is what the gateway makes of both: fusion and preference are pure functions, called here as the gateway does.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from search_plane.gateway.fusion import fuse_in_tiers, weighed
from search_plane.gateway.preference import Seen, preferred, prefers
from search_plane.release.policy import BreakerPolicy, Fusion, SearchPolicy
from search_plane.understanding.learning import Title, lexicon_of
from search_plane.understanding.synonyms import synonyms_of
from search_plane.understanding.understand import understand
from search_plane.understanding.understood import Understood

from benchmarks.build import stores
from benchmarks.relevance_bed import FUSED, KEYWORD, SEMANTIC, hits_of, open_shop
from benchmarks.relevance_metrics import grades_of, scored
from benchmarks.relevance_report import Evaluated, gains, tables
from sample_catalogue import JUDGED_QUERIES, Product, generate
from sample_catalogue.synonyms import SYNONYMS
from tests.testbed.plane import EncoderServer
from tests.testbed.weights.bge import bge_weights

CATALOGUES = ((5000, 7), (3000, 11))
TUNED_ON = [query for query in JUDGED_QUERIES if query.part == "tuning"]

Recorded = Mapping[str, Sequence[Mapping[str, Any]]]
"""By a query's text the hits of one search, as the gateway told them."""


@click.group(help=__doc__)
def main() -> None:
    """The command's help is the module's."""


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def record(file: Path) -> None:
    """Ask both catalogues by words and by meaning alone (some minutes) and keep the hits in FILE."""
    policy = SearchPolicy(synonyms=SYNONYMS, breaker=BreakerPolicy(latency_ms=60_000))
    kept: dict[str, dict[str, Recorded]] = {}
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        addresses = stack.enter_context(stores())
        encoder = stack.enter_context(EncoderServer(bge_weights(), Path(scratch)))
        for products, seed in CATALOGUES:
            with open_shop(products, seed, policy, encoder, addresses, Path(scratch)) as gateway:
                texts = [query.text for query in TUNED_ON]
                kept[str(seed)] = {way.name: hits_of(gateway, way, texts) for way in (KEYWORD, SEMANTIC)}
    file.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--semantic-weight", default=Fusion().semantic_weight, show_default=True)
def show(file: Path, semantic_weight: float) -> None:
    """Print nDCG@10 of all ways over what FILE holds, by class, as the code is now."""
    kept: dict[str, dict[str, Recorded]] = json.loads(file.read_text("utf-8"))
    fusion = Fusion(semantic_weight=semantic_weight, keyword_weight=1.0 - semantic_weight)
    console = Console(width=120)
    for products, seed in CATALOGUES:
        evaluated = replayed(list(generate(products, seed)), kept[str(seed)], fusion)
        console.print(tables(evaluated)[0])
        for name, (single, found) in gains(evaluated).items():
            console.print(f"  {name}: {found.mean:+.3f} ({found.low:+.3f} … {found.high:+.3f}) over {single}")


def replayed(catalogue: Sequence[Product], kept: Mapping[str, Recorded], fusion: Fusion) -> Evaluated:
    """What the gateway would answer from the recorded hits, three ways."""
    documents = [product.document() for product in catalogue]
    lexicon = lexicon_of(
        Counter((str(one["brand"]), str(one["category"])) for one in documents),
        [Title(str(one["title"]), str(one["brand"]), str(one["category"])) for one in documents],
    )
    synonyms = synonyms_of(SYNONYMS)
    shown: dict[str, dict[str, list[str]]] = {KEYWORD.name: {}, SEMANTIC.name: {}, FUSED.name: {}}
    queries = [query for query in TUNED_ON if query.text in kept[KEYWORD.name]]
    grades = grades_of(queries, catalogue)
    for text in grades:
        understood = understand(text, lexicon, synonyms)
        words, meaning = kept[KEYWORD.name][text], kept[SEMANTIC.name][text]
        hits = {hit["id"]: hit for hit in (*words, *meaning)}
        near = {hit["id"]: float(hit["scores"]["semantic"]) for hit in meaning}
        by_words = _by_score(words, KEYWORD.name)
        by_meaning = _by_score(meaning, SEMANTIC.name)
        fused = fuse_in_tiers(by_meaning, by_words, weighed(fusion, understood.known))
        for way, order, scores in (
            (KEYWORD.name, by_words, {}),
            (SEMANTIC.name, by_meaning, near),
            (FUSED.name, [identifier for identifier, _ in fused], near),
        ):
            shown[way][text] = _ordered(order, hits, scores, understood)
    results = {way: scored(queries, grades, found) for way, found in shown.items()}
    return Evaluated(f"{len(catalogue):,} products, replayed", results, {}, len(queries) - len(grades))


def _by_score(hits: Sequence[Mapping[str, Any]], search: str) -> list[str]:
    """The hits as the search itself ordered them, before the gateway preferred any."""
    return [hit["id"] for hit in sorted(hits, key=lambda hit: -float(hit["scores"][search]))]


def _ordered(
    order: Sequence[str],
    hits: Mapping[str, Mapping[str, Any]],
    near: Mapping[str, float],
    understood: Understood,
) -> list[str]:
    if not prefers(understood):
        return list(order)
    seen = [
        Seen(hits[one]["title"], hits[one]["category"], hits[one]["price"], near.get(one)) for one in order
    ]
    return [order[place] for place in preferred(seen, understood)]


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.relevance_replay")
