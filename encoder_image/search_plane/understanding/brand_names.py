"""How a brand is written: by its field's value, and by how its own titles begin."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from search_plane.understanding.features import HAN_RUN, LATIN_WORD
from search_plane.understanding.folding import folded

_DIVIDERS: Final = re.compile(r"[/|()\[\]【】·,，;]+")
_SHOP: Final = re.compile(r"(?:官方)?(?:旗舰店|专卖店|专营店|官方店)$")
_TWO_SCRIPTS: Final = re.compile(
    r"([\u4e00-\u9fff]{2,})\s*([a-z][a-z0-9 .&'-]+)|([a-z][a-z0-9 .&'-]+?)\s*([\u4e00-\u9fff]{2,})"
)
_OPENING: Final = re.compile(r"^(?:[【\[(（][^】\])）]*[】\])）]\s*)+")
_LATIN_HEAD: Final = re.compile(r"[a-z][a-z'-]+(?: [a-z][a-z'-]+){0,2}")
# An alias stands in so many sampled titles, and in so large a share of them the brand's own.
_TITLES: Final = 3
_PURITY: Final = 0.95
_LONGEST: Final = 40
_HAN_ALIAS: Final = range(2, 5)

FIT_WORDS: Final = ("适用于", "适用", "兼容", "适配", "通用", "for")
WHAT_FITS: Final = re.compile(r"(?:适用于|适用|兼容|适配)\s?([a-z]+|[\u4e00-\u9fff]{2})")


class Titled(Protocol):
    """A product of the sample with a folded title."""

    @property
    def text(self) -> str: ...
    @property
    def brand(self) -> str: ...


def spellings_of(value: str) -> tuple[str, ...]:
    """Folded names that a value of the brand field holds: 小米/Xiaomi, 小米（MI）, Apple 苹果."""
    whole = _SHOP.sub("", folded(value)).strip()
    names = [whole]
    for part in _DIVIDERS.split(whole):
        names.append(part.strip())
        if two := _TWO_SCRIPTS.fullmatch(part.strip()):
            names += [name.strip() for name in two.groups() if name]
    return tuple(dict.fromkeys(name for name in names if 2 <= len(name) <= _LONGEST))


def aliases_in_titles(
    titles: Sequence[Titled], names: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Names by which a brand's titles begin and hardly any other brand's title holds: Baseus for 倍思."""
    heads: dict[str, Counter[str]] = defaultdict(Counter)
    for title in titles:
        if title.brand in names:
            heads[title.brand].update(_heads(title.text, names[title.brand]))
    candidates = {head: Counter[str]() for counts in heads.values() for head in counts}
    for title in titles:
        for head in _held(title.text, candidates):
            candidates[head][title.brand] += 1
    aliases: dict[str, tuple[str, ...]] = {}
    for value, counts in heads.items():
        pure = {
            head: count
            for head, count in counts.items()
            if count >= _TITLES and candidates[head][value] >= _PURITY * candidates[head].total()
        }
        aliases[value] = _shortest_names(pure, names[value])
    return aliases


def series_in_titles(titles: Sequence[Titled]) -> dict[str, str]:
    """What accessories fit, and the brand whose titles alone say it otherwise: iphone, 红米."""
    named = {name for title in titles for name in WHAT_FITS.findall(title.text)}
    brands: dict[str, Counter[str]] = {name: Counter() for name in named}
    for title in titles:
        plain = WHAT_FITS.sub(" ", title.text)
        held = set(LATIN_WORD.findall(plain))
        held.update(run[place : place + 2] for run in HAN_RUN.findall(plain) for place in range(len(run) - 1))
        for name in held & named:
            brands[name][title.brand] += 1
    series: dict[str, str] = {}
    for name, counts in brands.items():
        for value, count in counts.most_common(1):
            if count >= _TITLES and count >= _PURITY * counts.total():
                series[name] = value
    return series


def _heads(text: str, names: tuple[str, ...]) -> list[str]:
    """What may be the brand at a title's beginning."""
    text = _OPENING.sub("", text)
    if latin := _LATIN_HEAD.match(text):
        words = latin.group().split()
        return [" ".join(words[:length]) for length in range(1, len(words) + 1) if len(words[0]) > 1]
    first = text.split(" ", 1)[0]
    if len(first) in _HAN_ALIAS and HAN_RUN.fullmatch(first) and not any(name in text for name in names):
        return [first]
    return []


def _held(text: str, candidates: Mapping[str, object]) -> set[str]:
    words = LATIN_WORD.findall(text)
    held = {
        " ".join(words[start : start + length])
        for length in (1, 2, 3)
        for start in range(len(words) - length + 1)
    }
    for run in HAN_RUN.findall(text):
        held |= {
            run[start : start + length] for length in _HAN_ALIAS for start in range(len(run) - length + 1)
        }
    return held & candidates.keys()


def _shortest_names(pure: Mapping[str, int], own: tuple[str, ...]) -> tuple[str, ...]:
    """Without names that only go on where another ends (apple iphone), or nearly always go on (the, of the north face)."""
    halves = {
        head
        for head, count in pure.items()
        if any(other.startswith(f"{head} ") and more >= 0.9 * count for other, more in pure.items())
    }
    whole = [head for head in sorted(pure, key=len) if head not in halves and head not in own]
    return tuple(
        head for head in whole if not any(head.startswith(one) for one in (*own, *whole) if one != head)
    )
