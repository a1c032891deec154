"""What a text shows of the kind of thing it is about: pairs of characters, Latin words, kinds of measures."""

import re
from dataclasses import dataclass
from typing import Final

LATIN_WORD: Final = re.compile(r"[a-z][a-z0-9]*(?:[-'][a-z0-9]+)*")
HAN_RUN: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_NUMBER: Final = r"(?:\d+(?:\.\d+)?|[一二两三四五六七八九十百半几]+)"
_KINDS: Final = {
    "weight": r"kg|mg|g|斤|公斤|千克|克|两",
    "volume": r"ml|l|毫升|升",
    "power": r"kw|w|瓦",
    "charge": r"mah|wh|毫安",
    "storage": r"gb|tb|mb",
    "length": r"mm|cm|m|米|厘米|毫米",
    "screen": r"英寸|寸",
    "frequency": r"ghz|hz",
}
_MEASURE: Final = re.compile(
    _NUMBER + r"\s?(?:" + "|".join(f"(?P<{kind}>{units})" for kind, units in _KINDS.items()) + r")(?![a-z])"
)
EMPTY_WORDS: Final = frozenset("的了和与及或吗呢啊呀把给在是有个些款用")


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of text[start:end]: a pair of characters, one character, a Latin word, or a measure's kind as `#weight`."""

    name: str
    start: int
    end: int


def features(text: str, offset: int = 0) -> list[Feature]:
    """All features of a folded text that begins at `offset` of a longer one, those of one character too."""
    found = [
        Feature(f"#{match.lastgroup}", offset + match.start(), offset + match.end())
        for match in _MEASURE.finditer(text)
    ]
    found += [
        Feature(match.group(), offset + match.start(), offset + match.end())
        for match in LATIN_WORD.finditer(text)
    ]
    for run in HAN_RUN.finditer(text):
        word, start = run.group(), offset + run.start()
        found += [
            Feature(character, start + place, start + place + 1) for place, character in enumerate(word)
        ]
        found += [
            Feature(word[place : place + 2], start + place, start + place + 2)
            for place in range(len(word) - 1)
        ]
    return found
