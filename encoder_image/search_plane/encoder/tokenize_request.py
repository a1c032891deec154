"""The body of POST /tokenize in text-embeddings-inference's JSON, and its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search_plane.encoder.embed_request import (
    PromptName,
    Refused,
    checked_flag,
    checked_prompt,
    checked_texts,
    json_object,
)
from search_plane.encoder.settings import MAX_TOKENIZE_CHARACTERS
from search_plane.encoder.tokenising import Token

_KEYS = frozenset({"inputs", "add_special_tokens", "prompt_name"})


@dataclass(frozen=True)
class TokenizeRequest:
    """A checked request."""

    texts: tuple[str, ...]
    add_special_tokens: bool
    prompt_name: PromptName | None


def parse_tokenize(body: bytes) -> TokenizeRequest:
    """Read and check a body. Raises Refused with 413 for too much, 422 for anything else that is wrong."""
    content = json_object(body, "inputs", _KEYS)
    texts = checked_texts(content["inputs"], "inputs")
    if (characters := sum(map(len, texts))) > MAX_TOKENIZE_CHARACTERS:
        raise Refused(
            413,
            f'"inputs": {characters} characters, at most {MAX_TOKENIZE_CHARACTERS} at a time',
            "validation",
        )
    return TokenizeRequest(
        texts=texts,
        add_special_tokens=checked_flag(content, "add_special_tokens") is not False,
        prompt_name=checked_prompt(content),
    )


def tokenize_answer(texts: Sequence[Sequence[Token]]) -> list[list[dict[str, Any]]]:
    """The tokens of each text; `start` and `stop` count characters of the text, null for special tokens."""
    return [
        [
            {
                "id": token.id,
                "text": token.text,
                "special": token.special,
                "start": None if token.special else token.start,
                "stop": None if token.special else token.stop,
            }
            for token in tokens
        ]
        for tokens in texts
    ]
