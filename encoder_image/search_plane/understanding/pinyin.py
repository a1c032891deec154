"""How characters sound, as people type them: without tones, and with the sounds that are often taken for each other."""

import re
from functools import lru_cache
from itertools import islice, product
from typing import Final

from pypinyin import Style, lazy_pinyin, pinyin

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
    """Keys under which what `word` was meant for is found: by how it may sound, loosely; at most 8."""
    combinations = product(*map(loose_readings, word))
    return [" ".join(combination) for combination in islice(combinations, _KEYS)]


@lru_cache(maxsize=65_536)
def read_aloud(word: str) -> tuple[str, ...]:
    """The one way in which a known word is read, a syllable a character: 音乐 as yin yue."""
    return tuple(lazy_pinyin(word))


def sound_of(word: str) -> str:
    """The key of a known word among `sounds`."""
    return " ".join(loosely(syllable) for syllable in read_aloud(word))


def sound_alike(written: str, meant: str) -> bool:
    """Whether the written word may be read exactly as the known one, tones aside."""
    syllables = read_aloud(meant)
    return len(syllables) == len(written) and all(
        syllable in readings(character) for character, syllable in zip(written, syllables, strict=True)
    )


def typed(word: str) -> str:
    """A known word's pinyin as it would be typed in one piece: lanya."""
    return "".join(read_aloud(word))
