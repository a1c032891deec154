"""Texts to token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `start` and `stop` count characters of the text it is from."""

    id: int
    text: str
    special: bool
    start: int
    stop: int


class TextTokeniser:
    """The artefact's tokenizer; one thread at a time. `max_tokens` counts special tokens too."""

    def __init__(self, tokenizer_json: Path, max_tokens: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_json))
        # Cutting is ours, so that one call tells both the whole length and the cut ids.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = max_tokens

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Token ids of each text, special tokens included, not cut."""
        return [tuple(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def tokens(self, texts: Sequence[str], *, special: bool) -> list[list[Token]]:
        """Tokens of each text with their places, not cut; with the model's special ones if `special`."""
        return [
            [
                Token(id, token, bool(mask), start, stop)
                for id, token, mask, (start, stop) in zip(
                    encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
                )
            ]
            for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=special)
        ]

    def cut(self, ids: TokenIds) -> TokenIds:
        """At most `max_tokens` ids: the end of the text goes, the closing special token stays."""
        if len(ids) <= self.max_tokens:
            return ids
        return (*ids[: self.max_tokens - 1], ids[-1])
