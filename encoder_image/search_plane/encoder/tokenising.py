"""Texts to token ids."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

TokenIds = tuple[int, ...]


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

    def cut(self, ids: TokenIds) -> TokenIds:
        """At most `max_tokens` ids: the end of the text goes, the closing special token stays."""
        if len(ids) <= self.max_tokens:
            return ids
        return (*ids[: self.max_tokens - 1], ids[-1])
