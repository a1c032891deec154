"""The body of POST /rerank in text-embeddings-inference's JSON, and its answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from search_plane.encoder.embed_request import Refused, checked_flag, checked_texts, invalid, json_object
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.settings import MAX_BODY_BYTES

_KEYS = frozenset({"query", "texts", "raw_scores", "return_text", "truncate", "truncation_direction"})


@dataclass(frozen=True)
class RerankRequest:
    """A checked request."""

    query: str
    texts: tuple[str, ...]
    raw_scores: bool
    return_text: bool
    truncate: bool


def parse_rerank(body: bytes) -> RerankRequest:
    """Read and check a body; `truncate` is true unless asked otherwise, as for vectors.

    Raises Refused with 413 for too much, 422 for anything else that is wrong.
    """
    content = json_object(body, "texts", _KEYS)
    query = content.get("query")
    if not isinstance(query, str):
        raise invalid('"query": expected a text')
    if not query or query.isspace():
        raise Refused(422, '"query" is blank', "empty")
    if str(content.get("truncation_direction") or "right").lower() != "right":
        raise invalid('"truncation_direction": only "right" is served')
    if not isinstance(content["texts"], list):
        raise invalid('"texts": expected a list of texts')
    texts = checked_texts(content["texts"], "texts")
    if len(query) * len(texts) > MAX_BODY_BYTES:
        raise Refused(
            413,
            f'"query": {len(query)} characters, which count with each of {len(texts)} texts; '
            f"at most {MAX_BODY_BYTES} together",
            "validation",
        )
    return RerankRequest(
        query=query,
        texts=texts,
        raw_scores=checked_flag(content, "raw_scores") is True,
        return_text=checked_flag(content, "return_text") is True,
        truncate=checked_flag(content, "truncate") is not False,
    )


def rerank_answer(request: RerankRequest, scores: FloatArray) -> list[dict[str, Any]]:
    """The texts' places in the request and their scores, best first; equal ones in the request's order.

    `scores`: float32 [texts], the model's own. The answer has them through the sigmoid unless `raw_scores`.
    """
    told = scores if request.raw_scores else sigmoid(scores)
    ranked = np.argsort(-scores, kind="stable")
    return [
        {"index": int(index), "score": float(told[index])}
        | ({"text": request.texts[index]} if request.return_text else {})
        for index in ranked
    ]


def sigmoid(scores: FloatArray) -> FloatArray:
    """float32, between 0 and 1, of scores of any size."""
    return np.asarray(0.5 * (1 + np.tanh(scores.astype(np.float64) / 2)), dtype=np.float32)
