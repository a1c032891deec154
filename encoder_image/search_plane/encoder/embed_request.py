"""The body of POST /embed, in the JSON of text-embeddings-inference, and what may be wrong with it."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from search_plane.encoder.settings import MAX_BODY_BYTES, MAX_CLIENT_BATCH_SIZE

PromptName = Literal["query", "document"]
_KEYS = frozenset({"inputs", "prompt_name", "normalize", "truncate", "truncation_direction", "dimensions"})


class Refused(Exception):
    """A request that is answered with an error: HTTP status, a sentence, and TEI's `error_type`."""

    def __init__(self, status: int, error: str, error_type: str, **more: str) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "error_type": error_type, **more}


@dataclass(frozen=True)
class EmbedRequest:
    """A checked request. `normalize` None means as the identity says."""

    texts: tuple[str, ...]
    prompt_name: PromptName | None
    normalize: bool | None
    truncate: bool


def parse_embed(body: bytes, dimension: int) -> EmbedRequest:
    """Read and check a body. Raises Refused with 413 for too much, 422 for anything else that is wrong."""
    if len(body) > MAX_BODY_BYTES:
        raise too_large()
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # A lone surrogate such as "\\ud83d" ends here too: it is no text.
        raise invalid(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict) or "inputs" not in content:
        raise invalid('expected an object with "inputs", a text or a list of texts')
    unknown = content.keys() - _KEYS
    if unknown:
        raise invalid(f"unknown keys: {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}")
    if str(content.get("truncation_direction") or "right").lower() != "right":
        raise invalid('"truncation_direction": only "right" is served')
    if content.get("dimensions") not in (None, dimension):
        raise invalid(f'"dimensions": only {dimension} is served')
    prompt_name = content.get("prompt_name")
    if prompt_name not in (None, "query", "document"):
        raise invalid('"prompt_name": expected "query", "document" or null')
    return EmbedRequest(
        texts=_texts(content["inputs"]),
        prompt_name=prompt_name,
        normalize=_flag(content, "normalize", None),
        truncate=_flag(content, "truncate", None) is not False,
    )


def too_large() -> Refused:
    """The answer to a body over the limit."""
    return Refused(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "validation")


def invalid(error: str) -> Refused:
    """The answer to a body that cannot be understood."""
    return Refused(422, error, "validation")


def _texts(inputs: object) -> tuple[str, ...]:
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(texts, list):
        raise invalid('"inputs": expected a text or a list of texts')
    if not texts:
        raise Refused(422, '"inputs" is empty', "empty")
    if len(texts) > MAX_CLIENT_BATCH_SIZE:
        raise Refused(
            413, f'"inputs": {len(texts)} texts, at most {MAX_CLIENT_BATCH_SIZE} at a time', "validation"
        )
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise invalid(f'"inputs"[{index}]: expected a text, found {type(text).__name__}')
        if not text or text.isspace():
            raise Refused(422, f'"inputs"[{index}] is blank', "empty")
    return tuple(texts)


def _flag(content: dict[str, Any], name: str, default: bool | None) -> bool | None:
    value = content.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f'"{name}": expected true or false, found {type(value).__name__}')
    return default if value is None else value
