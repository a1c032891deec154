"""Words that people use for the same thing, guessed from what they did: candidates for `search.synonyms`. Pure.

A reformulation is a query without a click, followed within a while by another one with a click, in the same bucket of
users. Many users share a bucket, so most such pairs are chance: those that are not come oftener in this order than in
the other one, which chance does not prefer.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from scipy import stats

from search_plane.listening.events import Search
from search_plane.listening.queries import folded
from search_plane.release.identity import Frozen

Kind = Literal["reformulated", "clicked alike"]

WITHIN: Final = timedelta(minutes=2)
# Share of false candidates that is put up with (Benjamini and Hochberg).
FALSE_DISCOVERIES: Final = 0.1
# Cosine of two queries' clicks by product, and how many products they must have in common.
ALIKE: Final = 0.5
_COMMON_PRODUCTS: Final = 3
# A product that so many queries lead to tells none of them apart.
_MOST_QUERIES: Final = 200
# What a line of search.synonyms may hold: the resource refuses longer ones, and these characters mean something in it.
_MOST_CHARACTERS: Final = 512
_RESERVED: Final = re.compile(r"[,，]|=>|[\[\]]")
_LATIN_RUN: Final = re.compile(r"[a-z0-9.+\-]+")
_MEASURE: Final = re.compile(r"[a-z0-9.+\- ]*\d[a-z0-9.+\- ]*")


class Rewording(Frozen):
    """Two wordings, and what speaks for their meaning the same.

    `buckets` is in how many buckets people went this way, `against` in how many the other way round; `p` is how likely
    chance does that. `similarity` is the cosine of clicks for `clicked alike`.
    """

    words: tuple[str, str]
    kind: Kind
    buckets: int
    against: int = 0
    p: float | None = None
    similarity: float | None = None
    queries: tuple[tuple[str, str], ...]

    @property
    def line(self) -> str:
        """As `search.synonyms` takes it."""
        return (" => " if self.kind == "reformulated" else ", ").join(self.words)


@dataclass(slots=True)
class _Steps:
    """In which buckets people went from one wording to the other, and in which back; and by which queries."""

    forward: set[int] = field(default_factory=set)
    backward: set[int] = field(default_factory=set)
    queries: set[tuple[str, str]] = field(default_factory=set)


def reformulated(searches: Iterable[Search], nameable: frozenset[str], least_buckets: int) -> list[Rewording]:
    """Lines "a => b" by what people tried next, the best attested first; only from queries that may be named."""
    steps: dict[tuple[str, str], _Steps] = defaultdict(_Steps)
    for bucket, ordered in _by_bucket(searches, nameable).items():
        start = 0
        for place, (at, query, clicked) in enumerate(ordered):
            while ordered[start][0] < at - WITHIN:
                start += 1
            for _, before, had_click in ordered[start:place]:
                if before == query or clicked == had_click:
                    continue
                # Without a click first and with one then; or the other way round, which is what chance is measured by.
                pair = (before, query) if clicked else (query, before)
                if (words := differing(*pair)) is None:
                    continue
                seen = steps[words]
                (seen.forward if clicked else seen.backward).add(bucket)
                if clicked:
                    seen.queries.add(pair)
    enough = {words: one for words, one in steps.items() if len(one.forward) >= least_buckets}
    if not enough:
        return []
    p = {
        words: float(
            stats.binomtest(
                len(one.forward), len(one.forward) + len(one.backward), alternative="greater"
            ).pvalue
        )
        for words, one in enough.items()
    }
    adjusted = dict(zip(p, stats.false_discovery_control(list(p.values())), strict=True))
    found = [
        Rewording(
            words=words,
            kind="reformulated",
            buckets=len(one.forward),
            against=len(one.backward),
            p=p[words],
            queries=tuple(sorted(one.queries)),
        )
        for words, one in enough.items()
        if adjusted[words] <= FALSE_DISCOVERIES
    ]
    return sorted(found, key=lambda one: (-one.buckets, one.line))


def clicked_alike(
    searches: Iterable[Search], nameable: frozenset[str], least_buckets: int
) -> list[Rewording]:
    """Lines "a, b" of wordings after which people click the same products."""
    clicks: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for search in searches:
        query, bucket = folded(search.shown.query), search.shown.bucket
        if bucket is not None and query in nameable:
            for click in search.clicks:
                clicks[query][click.id].add(bucket)
    weights = {
        query: {product: len(buckets) for product, buckets in of.items()} for query, of in clicks.items()
    }
    found: dict[tuple[str, str], tuple[float, int, set[tuple[str, str]]]] = {}
    for first, second in sorted(_meeting(weights)):
        words = differing(first, second)
        similarity = _cosine(weights[first], weights[second])
        common = weights[first].keys() & weights[second].keys()
        if words is None or similarity < ALIKE or len(common) < _COMMON_PRODUCTS:
            continue
        support = len(set().union(*(clicks[first][id] | clicks[second][id] for id in common)))
        if support < least_buckets:
            continue
        key = (min(words), max(words))
        best, buckets, queries = found.get(key, (0.0, 0, set()))
        found[key] = (max(best, similarity), max(buckets, support), queries | {(first, second)})
    lines = [
        Rewording(
            words=(first, second),
            kind="clicked alike",
            buckets=buckets,
            similarity=round(similarity, 3),
            queries=tuple(sorted(queries)),
        )
        for (first, second), (similarity, buckets, queries) in found.items()
    ]
    return sorted(lines, key=lambda one: (-len(one.queries), -one.buckets, one.line))


def grouped(pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Pairs as groups in which each word makes a pair with each other one; the order of the pairs is kept."""
    alike = {frozenset(pair) for pair in pairs}
    groups: list[list[str]] = []
    for pair in pairs:
        if any(set(pair) <= set(group) for group in groups):
            continue
        for group in groups:
            new = [word for word in pair if word not in group]
            if len(new) == 1 and all(frozenset((new[0], word)) in alike for word in group):
                group += new
                break
        else:
            groups.append(list(pair))
    return groups


def differing(first: str, second: str) -> tuple[str, str] | None:
    """What is worded differently in two folded queries: 平价耳机 and 便宜的耳机 differ in 平价 and 便宜.

    Words have two characters at least, where the queries do. None where they differ in a number
    or a measure (iphone 15 and 16 are no synonyms), where one only says more than the other, or where a word could not
    stand in a line of synonyms.
    """
    if first == second:
        return None
    head = 0
    while head < min(len(first), len(second)) and first[head] == second[head]:
        head += 1
    head = _not_within_latin(first, second, head)
    tail = 0
    longest = min(len(first), len(second)) - head
    while tail < longest and first[-1 - tail] == second[-1 - tail]:
        tail += 1
    tail = len(first) - _not_within_latin(first, second, len(first) - tail, from_end=True)

    def left() -> tuple[str, str]:
        return _plain(first[head : len(first) - tail]), _plain(second[head : len(second) - tail])

    if not all(left()) or left()[0] == left()[1] or all(_MEASURE.fullmatch(word) for word in left()):
        return None
    # One character is hardly a word: 芽 and 牙 are 蓝芽 and 蓝牙, 平 and 白菜 are 平价 and 白菜价.
    while min(map(len, left())) < 2 and (head or tail):
        if head:
            head = _not_within_latin(first, second, head - 1)
        else:
            tail = len(first) - _not_within_latin(first, second, len(first) - tail + 1, from_end=True)
    words = left()
    if any(_RESERVED.search(word) for word in words) or len(", ".join(words)) > _MOST_CHARACTERS:
        return None
    return words


def _plain(words: str) -> str:
    return words.strip().removesuffix("的").strip()


def _not_within_latin(first: str, second: str, place: int, from_end: bool = False) -> int:
    """The place, moved out of a run of Latin letters and digits: iphone is one word, 20w too."""
    if from_end:
        for text, offset in ((first, 0), (second, len(second) - len(first))):
            for run in _LATIN_RUN.finditer(text):
                if run.start() < place + offset < run.end():
                    place = run.end() - offset
        return min(place, len(first))
    for text in (first, second):
        for run in _LATIN_RUN.finditer(text):
            if run.start() < place < run.end():
                place = run.start()
    return place


def _by_bucket(
    searches: Iterable[Search], nameable: frozenset[str]
) -> Mapping[int, list[tuple[datetime, str, bool]]]:
    """(time, query, clicked) of first pages by bucket, in order. Degraded answers are nobody's wording's fault."""
    by_bucket: dict[int, list[tuple[datetime, str, bool]]] = defaultdict(list)
    for search in searches:
        shown = search.shown
        if shown.bucket is None or not search.first_page or shown.degraded:
            continue
        query = folded(shown.query)
        if query in nameable:
            by_bucket[shown.bucket].append((search.at, query, search.clicked))
    return by_bucket


def _meeting(weights: Mapping[str, Mapping[str, int]]) -> set[tuple[str, str]]:
    """Pairs of queries with a clicked product in common."""
    leading: dict[str, list[str]] = defaultdict(list)
    for query, products in weights.items():
        for product in products:
            leading[product].append(query)
    pairs: set[tuple[str, str]] = set()
    for queries in leading.values():
        if len(queries) <= _MOST_QUERIES:
            ordered: Sequence[str] = sorted(queries)
            pairs |= {(one, other) for place, one in enumerate(ordered) for other in ordered[place + 1 :]}
    return pairs


def _cosine(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    dot = sum(count * second.get(product, 0) for product, count in first.items())
    lengths = sum(count**2 for count in first.values()) * sum(count**2 for count in second.values())
    return float(dot / lengths**0.5) if lengths else 0.0
