"""Words typed for others: by sound in Chinese (蓝芽, 小咪), by one letter in Latin, and pinyin left as letters.

A word is taken for another only where the catalogue hardly knows what is written and often says what is meant.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from search_plane.understanding.features import EMPTY_WORDS, HAN_RUN, LATIN_WORD
from search_plane.understanding.lexicon import Lexicon
from search_plane.understanding.pinyin import sound_alike, sounds
from search_plane.understanding.understood import Correction
from search_plane.understanding.words import without_one

_MOST: Final = 4
_LONGEST: Final = 6
# How many spans of a query are looked up, for a long text full of unknown words.
_LOOKED_UP: Final = 48
# How many times oftener than the written word the meant one stands in titles; a longer word is surer.
_OFTENER: Final = 8
_PAIR_OFTENER: Final = 20
# A pair in no more than so many of a thousand titles is looked at.
_RARE: Final = 5e-3
_SHORT: Final = 2
_SURE_IF_SEEN: Final = 20

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Change:
    start: int
    written: str
    meant: str


def corrected(text: str, lexicon: Lexicon, kept: Sequence[Span]) -> tuple[str, tuple[Correction, ...]]:
    """The text with its slips mended, at most 4, and what they were. Nothing in the spans `kept` is touched."""
    if not lexicon.words:
        return text, ()
    changes: list[_Change] = []
    for match in LATIN_WORD.finditer(text):
        if not _touches(match.span(), kept) and (meant := _latin(match.group(), lexicon)):
            changes.append(_Change(match.start(), match.group(), meant))
    taken = list(kept)
    for run, start, length in _doubtful_spans(text, lexicon):
        span = (run.start() + start, run.start() + start + length)
        if not _touches(span, taken) and (meant := _meant(run.group(), start, length, lexicon)):
            taken.append(span)
            changes.append(_Change(span[0], run.group()[start : start + length], meant))
    changes = sorted(changes, key=lambda change: change.start)[:_MOST]
    for change in reversed(changes):
        text = text[: change.start] + change.meant + text[change.start + len(change.written) :]
    return text, tuple(_told(change, lexicon) for change in changes)


def _latin(written: str, lexicon: Lexicon) -> str | None:
    """A frequent word one letter away, or the Chinese one whose pinyin this is; None for a known word."""
    if len(written) < 4 or not written.isalpha() or lexicon.knows(written):
        return None
    if meant := lexicon.typed.get(written):
        return meant
    for key in (written, *without_one(written)):
        for word in lexicon.near_latin.get(key, ()):
            if word[0] == written[0] and _one_slip_apart(written, word):
                return word
    return None


def _one_slip_apart(one: str, other: str) -> bool:
    """One letter more, less or another, or two neighbours swapped."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, others = one[start:], other[start:]
    swapped = rest[1:2] + rest[:1] + rest[2:]
    return others in (rest[1:], swapped) or rest == others[1:] or rest[1:] == others[1:]


def _doubtful_spans(text: str, lexicon: Lexicon) -> Iterator[tuple[re.Match[str], int, int]]:
    """(run of Chinese characters, start in it, length) of what holds a rare pair, the longest first."""
    rare = max(1.0, _RARE * lexicon.titles)
    looked_up = 0
    for run in HAN_RUN.finditer(text):
        word = run.group()
        doubtful = {
            place for place in range(len(word) - 1) if lexicon.words.get(word[place : place + 2], 0) <= rare
        }
        if not doubtful:
            continue
        for length in range(min(_LONGEST, len(word)), 1, -1):
            starts = {place - back for place in doubtful for back in range(length - 1)}
            for start in sorted(starts):
                if 0 <= start <= len(word) - length:
                    looked_up += 1
                    if looked_up > _LOOKED_UP:
                        return
                    yield run, start, length


def _meant(run: str, start: int, length: int, lexicon: Lexicon) -> str | None:
    """What run[start:start+length] was meant to be; None for itself."""
    written = run[start : start + length]
    choices = dict.fromkeys(word for key in sounds(written) for word in lexicon.sounding.get(key, ()))
    if not choices or written in lexicon.spellings:
        return None
    least = lexicon.words.get(written, 0) * (_PAIR_OFTENER if length == _SHORT else _OFTENER)
    best: tuple[bool, int, int, str] | None = None
    for word in choices:
        shared = sum(one == other for one, other in zip(written, word, strict=True))
        count = lexicon.words.get(word, 0)
        exact = sound_alike(written, word)
        if shared in (0, length) or count < least or _changes_empty_word(written, word):
            continue
        if length == _SHORT and not (
            (exact or count >= _SURE_IF_SEEN) and _neighbours_known(run, start, word, lexicon)
        ):
            continue
        best = max(best or (False, 0, 0, ""), (exact, shared, count, word))
    return best[3] if best else None


def _changes_empty_word(written: str, meant: str) -> bool:
    return any(one != other and one in EMPTY_WORDS for one, other in zip(written, meant, strict=True))


def _neighbours_known(run: str, start: int, meant: str, lexicon: Lexicon) -> bool:
    """Whether a known word, none, or what makes one with it stands on both sides; else the slip lies elsewhere."""
    before, after = run[max(0, start - 2) : start], run[start + 2 : start + 4]
    return _stands(before, before[-1:], before[-1:] + meant, lexicon) and _stands(
        after, after[:1], meant + after[:1], lexicon
    )


def _stands(pair: str, nearest: str, joined: str, lexicon: Lexicon) -> bool:
    if not pair or nearest in EMPTY_WORDS:
        return True
    return lexicon.knows(pair) if len(pair) == _SHORT else lexicon.knows(joined)


def _told(change: _Change, lexicon: Lexicon) -> Correction:
    """Of a longer run only the pair that holds the slip; of a brand the whole name."""
    written, meant = change.written, change.meant
    if meant in lexicon.spellings or len(written) != len(meant) or written.isascii():
        return Correction(written, meant)
    while len(written) > _SHORT and written[-1] == meant[-1]:
        written, meant = written[:-1], meant[:-1]
    while len(written) > _SHORT and written[0] == meant[0]:
        written, meant = written[1:], meant[1:]
    return Correction(written, meant)


def _touches(span: Span, others: Sequence[Span]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)
