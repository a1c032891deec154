"""A query and a text as one row of token ids."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from search_plane.encoder.tokenising import TokenIds


class PairIds(tuple[int, ...]):
    """Token ids of both texts, special ones included; `second` is where the second text's types begin.

    A model without token types has them all alike: `second` is then the length.
    """

    second: int

    def __new__(cls, ids: Iterable[int], second: int) -> "PairIds":
        """From ids and the place where the second text's token types begin."""
        made = super().__new__(cls, ids)
        made.second = second
        return made


def second_of(ids: TokenIds) -> int:
    """Where the second text begins; a plain row has none."""
    return ids.second if isinstance(ids, PairIds) else len(ids)


class PairTokeniser:
    """The artefact's tokenizer for pairs; one thread at a time.

    A pair that is longer than `max_tokens` loses tokens of whichever text is the longer, as sentence-transformers'
    CrossEncoder does it.
    """

    def __init__(self, tokenizer_json: Path, max_tokens: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_json))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self.max_tokens = max_tokens

    def encode(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[PairIds], list[int]]:
        """Token ids of each pair, cut where needed; and the indexes of those that were cut."""
        rows, cut = [], []
        for index, encoding in enumerate(self._tokenizer.encode_batch_fast(list(pairs))):
            types = encoding.type_ids
            rows.append(PairIds(encoding.ids, types.index(1) if 1 in types else len(types)))
            if encoding.overflowing:
                cut.append(index)
        return rows, cut
