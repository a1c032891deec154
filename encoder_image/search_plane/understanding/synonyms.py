"""Words that mean the same, as the resource's lines say it: "a, b, c", or "a => b, c" for one direction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from search_plane.understanding.folding import folded
from search_plane.understanding.spelling_index import SpellingIndex

MAX_LINES: Final = 256
MAX_LINE_LENGTH: Final = 512
MAX_WORDS: Final = 64
_GROUPS_PER_QUERY: Final = 16
_COMMA: Final = re.compile(r"[,，、]")


@dataclass(frozen=True, slots=True)
class Synonyms:
    """What may stand for each word; words are folded. The default holds none."""

    meaning: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: SpellingIndex = field(default_factory=SpellingIndex)

    def groups_in(self, text: str) -> tuple[tuple[str, ...], ...]:
        """A group per word of folded `text` that has synonyms, the longest words first taken; at most 16 groups."""
        words = dict.fromkeys(found.spelling for found in self.index.found_in(text))
        return tuple((word, *self.meaning[word]) for word in words)[:_GROUPS_PER_QUERY]


def synonyms_of(lines: Sequence[str]) -> Synonyms:
    """Reads the lines; empty ones and those that begin with # are comments. Raises ValueError naming the line."""
    if len(lines) > MAX_LINES:
        raise ValueError(
            f"synonyms: {len(lines)} lines, at most {MAX_LINES} are read; join groups that belong together"
        )
    meaning: dict[str, dict[str, None]] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            for word, others in _read(text):
                meaning.setdefault(word, {}).update(dict.fromkeys(other for other in others if other != word))
        except ValueError as error:
            raise ValueError(f"synonyms, line {number} {line[:80]!r}: {error}") from None
    words = {word: tuple(others) for word, others in meaning.items() if others}
    return Synonyms(words, SpellingIndex.of(words))


def _read(line: str) -> list[tuple[str, list[str]]]:
    """(word, what may stand for it) of one line."""
    if len(line) > MAX_LINE_LENGTH:
        raise ValueError(
            f"has {len(line)} characters, at most {MAX_LINE_LENGTH} are read; divide it into several lines"
        )
    sides = [_words(side) for side in folded(line).split("=>")]
    if len(sides) == 1:
        if len(sides[0]) < 2:
            raise ValueError(
                'holds one word; write "a, b" for words that mean the same or "a => b" for one direction'
            )
        return [(word, sides[0]) for word in sides[0]]
    if len(sides) > 2:
        raise ValueError("holds more than one =>; write a line for each direction")
    return [(word, sides[1]) for word in sides[0]]


def _words(side: str) -> list[str]:
    words = [word.strip() for word in _COMMA.split(side)]
    if not all(words):
        raise ValueError("holds an empty word; write words divided by single commas")
    if len(words) > MAX_WORDS:
        raise ValueError(f"holds {len(words)} words on a side, at most {MAX_WORDS} are read")
    return words
