"""What Elasticsearch's answers say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

Document = Mapping[str, JsonValue]


def judged(docs: Sequence[Mapping[str, JsonValue]]) -> dict[str, Document | None]:
    """The part of an mget answer that is a judgement: found documents, and those known to be gone. Pure."""
    answers: dict[str, Document | None] = {}
    for doc in docs:
        if "error" in doc:
            continue
        source = doc.get("_source")
        answers[str(doc["_id"])] = (source if isinstance(source, dict) else {}) if doc.get("found") else None
    return answers


@dataclass(frozen=True, slots=True)
class Words:
    """What Elasticsearch's search found for a query's words: (id, score), best first.

    `total` counts all that match, up to 10,000. `whole` is False when some shard did not answer. `facets` are the
    aggregations as they came.
    """

    matching: list[tuple[str, float]]
    total: int
    whole: bool
    facets: Mapping[str, Any] | None = None


def found_words(body: Mapping[str, Any]) -> Words:
    """Reads a search's answer. Pure."""
    hits = body.get("hits", {})
    total = hits.get("total", {}).get("value", 0)
    return Words(
        # Without anything to score by, as for a brand alone, scores are null.
        [(str(hit["_id"]), float(hit.get("_score") or 0.0)) for hit in hits.get("hits", ())],
        int(total),
        not body.get("timed_out") and not body.get("_shards", {}).get("failed", 0),
        body.get("aggregations"),
    )


def found_marks(body: Mapping[str, Any]) -> dict[str, str]:
    """The marked title by id, of those products in whose title something is marked. Pure."""
    marks: dict[str, str] = {}
    for hit in body.get("hits", {}).get("hits", ()):
        for fragments in hit.get("highlight", {}).values():
            marks.setdefault(str(hit["_id"]), str(fragments[0]))
    return marks
