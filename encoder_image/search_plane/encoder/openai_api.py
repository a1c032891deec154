"""OpenAI's embeddings API over the same encoder: the body of POST /v1/embeddings, its answer, and its errors."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search_plane.encoder.embed_request import (
    EmbedRequest,
    Refused,
    checked_prompt,
    checked_texts,
    invalid,
    json_object,
)
from search_plane.encoder.pooling import FloatArray

EncodingFormat = Literal["float", "base64"]
_KEYS = frozenset({"input", "model", "encoding_format", "dimensions", "user", "prompt_name"})
_ERROR_TYPES = {409: "conflict_error", **dict.fromkeys((404, 405, 413, 422), "invalid_request_error")}


@dataclass(frozen=True)
class EmbeddingsRequest(EmbedRequest):
    """A checked body. `model` is not looked at: an encoder serves one, and its answer says which."""

    encoding_format: EncodingFormat


def parse_embeddings(body: bytes, dimension: int) -> EmbeddingsRequest:
    """Read and check a body; `prompt_name` is ours, for models with prefixes.

    Raises Refused with 413 for too much, 422 for anything else that is wrong.
    """
    content = json_object(body, "input", _KEYS)
    asked = content.get("dimensions")
    if asked not in (None, dimension):
        raise invalid(f'"dimensions": only {dimension} is served')
    form = content.get("encoding_format")
    if form not in (None, "float", "base64"):
        raise invalid('"encoding_format": expected "float" or "base64"')
    inputs = content["input"]
    if isinstance(inputs, list) and inputs and not isinstance(inputs[0], str):
        raise invalid('"input": expected texts; token ids are those of another tokenizer')
    return EmbeddingsRequest(
        texts=checked_texts(inputs, "input"),
        prompt_name=checked_prompt(content),
        normalize=None,
        truncate=True,
        encoding_format=form or "float",
    )


def embeddings_answer(vectors: FloatArray, tokens: int, model: str, form: EncodingFormat) -> dict[str, Any]:
    """The answer's JSON; base64 holds little-endian float32, as OpenAI's does."""
    rows: list[Any] = list(vectors)
    if form == "base64":
        rows = [base64.b64encode(row.astype("<f4", copy=False).tobytes()).decode() for row in rows]
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models_answer(model: str) -> dict[str, Any]:
    """What GET /v1/models says: the one model."""
    return {
        "object": "list",
        "data": [{"id": model, "object": "model", "created": 0, "owned_by": "semanticsearch.io"}],
    }


def error_answer(refused: Refused) -> Mapping[str, Any]:
    """A refusal in OpenAI's shape."""
    kind = _ERROR_TYPES.get(refused.status, "server_error")
    code = refused.body["error_type"]
    return {"error": {"message": refused.body["error"], "type": kind, "param": None, "code": code}}
