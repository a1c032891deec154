"""The body of POST /embed, in the JSON of text-embeddings-inference, and what may be wrong with it."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from search_plane.encoder.settings import MAX_BODY_BYTES, MAX_CLIENT_BATCH_SIZE

PromptName = Literal["query", "document"]
_KEYS = frozenset({"inputs", "prompt_name", "normalize", "truncate", "truncation_direction", "dimensions"})
_MOST_KEYS = 10
_MOST_CHARACTERS = 200


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
    content = json_object(body, "inputs", _KEYS)
    if content.get("truncation_direction") not in (None, "right", "Right"):
        raise invalid('"truncation_direction": only "right" is served')
    if content.get("dimensions") not in (None, dimension):
        raise invalid(f'"dimensions": only {dimension} is served')
    return EmbedRequest(
        texts=checked_texts(content["inputs"], "inputs"),
        prompt_name=checked_prompt(content),
        normalize=checked_flag(content, "normalize"),
        truncate=checked_flag(content, "truncate") is not False,
    )


def json_object(body: bytes, needed: str, known: Set[str]) -> dict[str, Any]:
    """The JSON object in a body, with the key `needed` and no key that is not `known`; raises Refused."""
    if len(body) > MAX_BODY_BYTES:
        raise too_large()
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # A lone surrogate such as "\\ud83d" ends here too: it is no text.
        raise invalid(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict) or needed not in content:
        raise invalid(f'expected an object with "{needed}", a text or a list of texts')
    unknown = content.keys() - known
    if unknown:
        # Of a foreign body only so much is said back.
        names = ", ".join(sorted(unknown)[:_MOST_KEYS])[:_MOST_CHARACTERS]
        raise invalid(f"unknown keys: {names}; known are {', '.join(sorted(known))}")
    return content


def too_large() -> Refused:
    """The answer to a body over the limit."""
    return Refused(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "validation")


def invalid(error: str) -> Refused:
    """The answer to a body that cannot be understood."""
    return Refused(422, error, "validation")


def checked_texts(inputs: object, key: str) -> tuple[str, ...]:
    """One text or a list of them, none blank; `key` is what the body calls them. Raises Refused."""
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(texts, list):
        raise invalid(f'"{key}": expected a text or a list of texts')
    if not texts:
        raise Refused(422, f'"{key}" is empty', "empty")
    if len(texts) > MAX_CLIENT_BATCH_SIZE:
        raise Refused(
            413, f'"{key}": {len(texts)} texts, at most {MAX_CLIENT_BATCH_SIZE} at a time', "validation"
        )
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise invalid(f'"{key}"[{index}]: expected a text, found {type(text).__name__}')
        if not text or text.isspace():
            raise Refused(422, f'"{key}"[{index}] is blank', "empty")
    return tuple(texts)


def checked_prompt(content: Mapping[str, Any]) -> PromptName | None:
    """`prompt_name`: as what the texts are embedded. Raises Refused."""
    name: PromptName | None = content.get("prompt_name")
    if name not in (None, "query", "document"):
        raise invalid('"prompt_name": expected "query", "document" or null')
    return name


def checked_flag(content: Mapping[str, Any], name: str) -> bool | None:
    """A boolean or None. Raises Refused."""
    value = content.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f'"{name}": expected true or false, found {type(value).__name__}')
    return value
