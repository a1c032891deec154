"""How characters sound, as people type them: without tones, and with the sounds that are often taken for each other."""

import re
from functools import lru_cache
from itertools import islice, product
from typing import Final

from pypinyin import Style, pinyin

_READINGS: Final = 2
_KEYS: Final = 8
_LOOSE: Final = (
    (re.compile(r"^(z|c|s)h"), r"\1"),
    (re.compile(r"^l"), "n"),
    (re.compile(r"(a|e|i)ng$"), r"\1n"),
)


@lru_cache(maxsize=16_384)
def readings(character: str) -> tuple[str, ...]:
    """Up to two readings without tones, the commonest first; the character itself when it has none."""
    found = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    return tuple(found[0][:_READINGS]) if found and found[0] else (character,)


@lru_cache(maxsize=2_048)
def loosely(syllable: str) -> str:
    """With zh, ch, sh as z, c, s; l as n; ang, eng, ing as an, en, in."""
    for pattern, other in _LOOSE:
        syllable = pattern.sub(other, syllable)
    return syllable


@lru_cache(maxsize=16_384)
def loose_readings(character: str) -> tuple[str, ...]:
    """Its readings, loosely."""
    return tuple(dict.fromkeys(loosely(one) for one in readings(character)))


def sounds(word: str) -> list[str]:
    """Keys under which a word is found by how it may sound, loosely; at most 8."""
    combinations = product(*map(loose_readings, word))
    return [" ".join(combination) for combination in islice(combinations, _KEYS)]


def sound_alike(written: str, meant: str) -> bool:
    """Whether words of equal length share a reading at each place, tones aside."""
    return all(set(readings(one)) & set(readings(other)) for one, other in zip(written, meant, strict=True))


def typed(word: str) -> str:
    """A word's pinyin as it would be typed in one piece: lanya."""
    return "".join(readings(character)[0] for character in word)
