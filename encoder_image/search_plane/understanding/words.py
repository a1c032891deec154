"""The words that titles hold, and ways to find one from another that was meant for it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from search_plane.understanding.features import HAN_RUN, LATIN_WORD
from search_plane.understanding.pinyin import sound_of, typed

LONGEST_WORD: Final = 4
# How many of the sampled titles must hold a word for another to be taken for it; of a small sample fewer.
_FREQUENT: Final = 5
_FREQUENT_IN_SMALL: Final = 2
_SMALL: Final = 200
_CHOICES: Final = 8
_SHORTEST_TYPED: Final = 5
_SHORTEST_LATIN: Final = 4


def words_of(texts: Iterable[str]) -> dict[str, int]:
    """In how many folded texts each Latin word and each run of 2 to 4 Chinese characters stands."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_words_in(text))
    # A run of three or four that was seen once tells nothing that its pairs don't.
    return {word: count for word, count in counts.items() if count > 1 or len(word) == 2 or word.isascii()}


def _words_in(text: str) -> set[str]:
    found = set(LATIN_WORD.findall(text))
    for run in HAN_RUN.findall(text):
        for length in range(2, min(LONGEST_WORD, len(run)) + 1):
            found.update(run[start : start + length] for start in range(len(run) - length + 1))
    return found


def frequent_of(words: Mapping[str, int], spellings: Collection[str], texts: Sequence[str]) -> dict[str, int]:
    """Words of several texts, by their number, that others may have been meant for, and all names of brands.

    A run of characters that never begins or ends a phrase is a piece of words, not a word: 电式 of 充电式剃须刀.
    """
    least = _FREQUENT if len(texts) >= _SMALL else _FREQUENT_IN_SMALL
    at_edges: set[str] = set()
    for text in texts:
        at_edges.update(LATIN_WORD.findall(text))
        for run in HAN_RUN.findall(text):
            for length in range(2, min(LONGEST_WORD, len(run)) + 1):
                at_edges |= {run[:length], run[-length:]}
    frequent = {word: count for word, count in words.items() if count >= least and word in at_edges}
    return frequent | {spelling: words.get(spelling, 1) for spelling in spellings}


def sounding(frequent: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Chinese words by how they sound, the most frequent first."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in _most_frequent_first(frequent):
        if HAN_RUN.fullmatch(word):
            found[sound_of(word)].append(word)
    return {key: tuple(words[:_CHOICES]) for key, words in found.items()}


def typed_as(frequent: Mapping[str, int], words: Mapping[str, int]) -> dict[str, str]:
    """The most frequent Chinese word for each pinyin of five letters and more that is no Latin word itself."""
    found: dict[str, str] = {}
    for word in _most_frequent_first(frequent):
        if HAN_RUN.fullmatch(word):
            letters = typed(word)
            if len(letters) >= _SHORTEST_TYPED and letters not in words:
                found.setdefault(letters, word)
    return found


def near_latin(frequent: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Latin words by themselves and by what is left of them without one letter, the most frequent first."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in _most_frequent_first(frequent):
        if word.isascii() and word.isalpha() and len(word) >= _SHORTEST_LATIN:
            for key in {word, *without_one(word)}:
                found[key].append(word)
    return {key: tuple(words[:_CHOICES]) for key, words in found.items()}


def without_one(word: str) -> list[str]:
    """The word without each of its letters in turn."""
    return [word[:place] + word[place + 1 :] for place in range(len(word))]


def _most_frequent_first(frequent: Mapping[str, int]) -> list[str]:
    return sorted(frequent, key=lambda word: (-frequent[word], word))
