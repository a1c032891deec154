"""Replaying recorded hits gives what the gateway would make of them."""

from typing import Any

from search_plane.release.policy import Fusion

from benchmarks.relevance_metrics import mean
from benchmarks.relevance_replay import TUNED_ON, replayed
from sample_catalogue import Product, generate


def hit(product: Product, search: str, score: float) -> dict[str, Any]:
    document = product.document()
    shown = {name: document[name] for name in ("title", "category", "price")}
    return {"id": product.sku, **shown, "scores": {"semantic": None, "keyword": None, search: score}}


def test_fused_has_what_either_search_found_and_words_alone_have_no_more_than_theirs() -> None:
    catalogue = list(generate(800))
    queries = [query for query in TUNED_ON if query.query_class == "brand"]
    best = {
        query.text: sorted(catalogue, key=lambda product: -query.grade(product))[:10] for query in queries
    }
    kept: dict[str, dict[str, list[dict[str, Any]]]] = {
        # Told in another order than found, as the gateway tells what it preferred.
        "semantic": {
            text: [hit(product, "semantic", 0.9 - place / 100) for place, product in enumerate(products)][
                ::-1
            ]
            for text, products in best.items()
        },
        "keyword": {text: [] for text in best},
    }
    evaluated = replayed(catalogue, kept, Fusion())
    found = {way: mean(results).ndcg for way, results in evaluated.results.items()}
    assert found["keyword"] == 0.0
    assert found["fused"] == found["semantic"] > 0.9
    assert {query.query.part for query in evaluated.results["fused"]} == {"tuning"}
