"""How well a model finds the clicked products of held-out queries among all products of the held-out pairs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_plane.finetuning.pairs import Pair
from search_plane.jobs.rendering import content_hash
from search_plane.release.models import KnownModel

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DECIDING = "ndcg@10"
# As sentence-transformers' InformationRetrievalEvaluator names and computes them; a click counts 1, all else 0.
METRICS = (DECIDING, "mrr@10", "recall@10", "recall@100")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Queries and products by key, and the keys of the products that were clicked for each query."""

    queries: Mapping[str, str]
    products: Mapping[str, str]
    clicked: Mapping[str, frozenset[str]]


def retrieval(pairs: Iterable[Pair]) -> Retrieval:
    """What the pairs ask for. A product is its text: the encoder can't tell two of the same text apart."""
    queries: dict[str, str] = {}
    products: dict[str, str] = {}
    clicked: dict[str, set[str]] = {}
    for pair in pairs:
        queries.setdefault(pair.query_key, pair.query)
        for text in (pair.product, *pair.negatives):
            products.setdefault(content_hash(text), text)
        clicked.setdefault(pair.query_key, set()).add(content_hash(pair.product))
    return Retrieval(queries, products, {key: frozenset(of) for key, of in clicked.items()})


def measured(
    published: "SentenceTransformer", model: KnownModel, asked: Retrieval, batch: int
) -> dict[str, float]:
    """METRICS of the model, each between 0 and 1, as means over the queries."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    evaluator = InformationRetrievalEvaluator(
        queries=dict(asked.queries),
        corpus=dict(asked.products),
        relevant_docs={key: set(of) for key, of in asked.clicked.items()},
        precision_recall_at_k=[10, 100],
        accuracy_at_k=[10],
        # By cosine, as the collection compares, whatever the model's own configuration says.
        score_functions={"cosine": _cosine},
        query_prompt=model.query_prefix,
        corpus_prompt=model.document_prefix,
        batch_size=batch,
        write_csv=False,
    )
    figures = evaluator(published)
    return {name: float(figures[f"cosine_{name}"]) for name in METRICS}


def _cosine(queries: object, products: object) -> object:
    from sentence_transformers.util import cos_sim

    return cos_sim(queries, products)
