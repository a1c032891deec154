"""Whether a collection's answers are whole: what rows must be found, and when answers are doubted. Pure."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["COSINE", "IP", "L2"]
# (replica, shard's channel, leading node, the replica's nodes) of each shard of each replica; nodes by Milvus' number,
# which a restarted one has anew.
Placement = frozenset[tuple[int, str, int, frozenset[int]]]

# Probes that must have found every sentinel, one after the other, before answers are believed again: few could by chance
# all be answered by the replica that is whole.
WHOLE_PROBES: Final = 20
# A returning query node serves partial rows for 6-24 s (docs/gateway.md); what is missing for longer is gone.
SETTLED_SECONDS: Final = 30.0
# How long answers are doubted at least when a node begins to lead: the 3 s that it is named before it answers, and some.
PLACED_SECONDS: Final = 12.0
# Readings whose most is believed; at one per five probes they outlast a returning node's partial rows.
_COUNTS = 4
_SCORE_TOLERANCE = 1e-3
# Fewer rows might be the nearest ones by chance.
_RANKED = 5


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A row that a search for its own vector must find. `missing_since`: seconds of the watch's clock, or None."""

    id: str
    vector: NDArray[np.float32]
    missing_since: float | None = None

    def is_found(self, score: float, metric: Metric) -> bool:
        """Whether the best hit of a search for the vector is the row, or one just like it."""
        if metric == "L2":
            return score <= _SCORE_TOLERANCE
        itself = 1.0 if metric == "COSINE" else float(self.vector @ self.vector)
        return score >= itself - _SCORE_TOLERANCE * max(1.0, itself)


class Wholeness:
    """Doubts answers from the first sign that rows are missing until enough probes in a row found all."""

    def __init__(self) -> None:
        self._doubtful = False
        self._whole_probes = 0
        self._counts: deque[int] = deque(maxlen=_COUNTS)
        self._placement: Placement | None = None
        self._doubtful_until = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether answers may lack rows now."""
        return self._doubtful

    @property
    def rows(self) -> int:
        """Rows that the collection is known to hold; the most of the last readings, as one may be partial."""
        return max(self._counts, default=0)

    def suspect(self) -> None:
        """Rows were lacking."""
        self._doubtful = True
        self._whole_probes = 0

    def placed(self, placement: Placement, now: float) -> None:
        """Where the rows are read, at `now` in seconds of the watch's clock. A new place is doubted before it answers."""
        if self._placement is not None and not placement <= self._placement:
            self.suspect()
            self._doubtful_until = now + PLACED_SECONDS
        self._placement = placement

    def probed(self, whole: bool, now: float) -> None:
        """A probe found every sentinel, or did not; WHOLE_PROBES of the first kind in a row end the doubt."""
        if not whole:
            self.suspect()
            return
        self._whole_probes += 1
        if self._whole_probes >= WHOLE_PROBES and now >= self._doubtful_until:
            self._doubtful = False

    def counted(self, rows: int) -> None:
        """A reading of the number of rows. While none is old yet, very different ones are of different replicas."""
        if len(self._counts) < _COUNTS and any(_differ(rows, count) for count in self._counts):
            self.suspect()
        self._counts.append(rows)


def _differ(rows: int, others: int) -> bool:
    """By more than writes change within the moment between two readings."""
    return abs(rows - others) > 0.05 * max(rows, others)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a probe comes to: the sentinels to keep, whether all rows seem to be there, and who was replaced."""

    sentinels: tuple[Sentinel, ...]
    whole: bool
    dropped: int


def judge(
    sentinels: Collection[Sentinel],
    readings: Collection[Collection[str]],
    stored: Mapping[str, NDArray[np.float32]],
    now: float,
    departed: Collection[str] = (),
) -> Judgement:
    """Judges a probe. `readings`: per search the ids it found; `stored`: vectors read by id, of those not found.

    `departed`: those that the catalogue no longer has, which a refresh may well have deleted.

    - Found by every search: there.
    - Stored with another vector: changed, watched on with the new one.
    - Found by one search and not by another, or stored but not found: a replica lacks it.
    - Neither found nor stored: deleted, when the catalogue does not have it either, or when it is the only one; of
      several at once a partial replica is likelier, and they are taken for deleted after SETTLED_SECONDS. A single
      one that only searches miss is likewise let go then: the graph may not reach it.
    """
    kept: list[Sentinel] = []
    gone: list[Sentinel] = []
    unseen: list[Sentinel] = []
    for sentinel in sentinels:
        seen = [sentinel.id in reading for reading in readings]
        vector = stored.get(sentinel.id)
        if all(seen):
            kept.append(Sentinel(sentinel.id, sentinel.vector))
        elif vector is not None and not np.array_equal(vector, sentinel.vector):
            kept.append(Sentinel(sentinel.id, vector))
        else:
            since = now if sentinel.missing_since is None else sentinel.missing_since
            missing = Sentinel(sentinel.id, sentinel.vector, since)
            (gone if vector is None and not any(seen) else unseen).append(missing)
    left = [one for one in gone if one.id in departed]
    gone = [one for one in gone if one.id not in departed]
    missing_count = len(gone) + len(unseen)
    if len(gone) > 1:
        gone, settled = _split(gone, now)
    else:
        gone, settled = [], gone
    if missing_count == 1 and unseen:
        unseen, unreachable = _split(unseen, now)
        settled += unreachable
    dropped = len(settled) + len(left)
    return Judgement((*kept, *gone, *unseen), whole=not gone and not unseen, dropped=dropped)


def _split(missing: list[Sentinel], now: float) -> tuple[list[Sentinel], list[Sentinel]]:
    """Those that may yet return, and those that won't."""

    def settled(sentinel: Sentinel) -> bool:
        return sentinel.missing_since is not None and now - sentinel.missing_since >= SETTLED_SECONDS

    return [one for one in missing if not settled(one)], [one for one in missing if settled(one)]


def wanted_hits(limit: int, rows: int) -> int:
    """Hits that a search for `limit` must give from a collection of so many rows."""
    return min(limit, rows)


def is_the_graphs_habit(short: Sequence[str], deep: Sequence[str]) -> bool:
    """Whether a short answer is what the graph gave up too early, by a deeper search for the same vector.

    Both are ids, nearest first. A graph of which many rows were deleted may end a search before `limit` rows were found
    (seen on 2.3.5 once in 15,000 searches with ef 128 for 105 rows, after a third of the rows was deleted); what it
    found are the nearest. Rows that a replica shows while others are missing are scattered over the ranks.
    """
    return len(short) >= _RANKED and set(short) == set(deep[: len(short)])


def search_depth(k: int, ef: int) -> int:
    """Rows to ask for so that `k` remain when some have left the catalogue; never so many that ef must grow."""
    return min(k + max(5, k // 5), max(k, ef))
