"""Finding known spellings in a text: the longest first, Latin ones only as whole words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_NAME_BEFORE_NUMBER: Final = 4


@dataclass(frozen=True, slots=True)
class Found:
    """A spelling at text[start:end]."""

    start: int
    end: int
    spelling: str


@dataclass(frozen=True, slots=True)
class SpellingIndex:
    """Spellings by their first character, the longest first. A search costs the text's length, not the spellings' number."""

    lengths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    spellings: frozenset[str] = frozenset()

    @classmethod
    def of(cls, spellings: Iterable[str]) -> "SpellingIndex":
        """Of folded spellings; empty ones are left out."""
        kept = frozenset(spelling for spelling in spellings if spelling)
        lengths: dict[str, set[int]] = {}
        for spelling in kept:
            lengths.setdefault(spelling[0], set()).add(len(spelling))
        return cls({first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()}, kept)

    def found_in(self, text: str) -> Iterator[Found]:
        """From left to right, without overlaps."""
        position = 0
        while position < len(text):
            # Nearly every character begins no spelling; a call for each would cost more than all else.
            lengths = self.lengths.get(text[position])
            found = self._at(text, position, lengths) if lengths else None
            if found is None:
                position += 1
            else:
                yield found
                position = found.end

    def _at(self, text: str, start: int, lengths: tuple[int, ...]) -> Found | None:
        for length in lengths:
            end = start + length
            if end <= len(text) and text[start:end] in self.spellings and stands_alone(text, start, end):
                return Found(start, end, text[start:end])
        return None


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no Latin word or number goes on across the ends of text[start:end]: mi does not stand in mini."""
    if start and _goes_on(text[start - 1], text[start]):
        return False
    if end == len(text) or not _goes_on(text[end - 1], text[end]):
        return True
    # honor90 names honor; mi6 could be anything.
    return text[end].isdigit() and text[end - 1].isalpha() and end - start >= _NAME_BEFORE_NUMBER


def _goes_on(left: str, right: str) -> bool:
    return left.isascii() and right.isascii() and left.isalnum() and right.isalnum()
