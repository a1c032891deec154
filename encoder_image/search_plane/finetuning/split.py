"""Which queries are held out: by a hash of the query, so that more logs never move one to the other side. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from search_plane.finetuning.pairs import Pair
from search_plane.finetuning.rows import Refused

LEAST_HELD_OUT = 5
LEAST_TRAINING = 2


@dataclass(frozen=True, slots=True)
class Split:
    """Pairs to learn from, and pairs to judge by; no query is in both. A product may be."""

    training: tuple[Pair, ...]
    held_out: tuple[Pair, ...]

    @property
    def held_out_queries(self) -> int:
        """How many different queries the judgement rests on."""
        return len({pair.query_key for pair in self.held_out})


def is_held_out(query_key: str, share: float) -> bool:
    """Whether the first 8 bytes of the key's sha256, as a fraction of 2^64, lie below `share`."""
    return int.from_bytes(hashlib.sha256(query_key.encode()).digest()[:8]) < share * 2**64


def split(pairs: Iterable[Pair], share: float) -> Split:
    """About `share` of the queries held out. Raises Refused where either side is too small to say anything."""
    sides: dict[bool, list[Pair]] = {True: [], False: []}
    for pair in pairs:
        sides[is_held_out(pair.query_key, share)].append(pair)
    made = Split(tuple(sides[False]), tuple(sides[True]))
    if made.held_out_queries < LEAST_HELD_OUT or len(made.training) < LEAST_TRAINING:
        raise Refused(
            f"--held-out {share}: leaves {made.held_out_queries} queries to judge by and {len(made.training)} pairs "
            f"to learn from, expected at least {LEAST_HELD_OUT} and {LEAST_TRAINING}: give more pairs or another share"
        )
    return made
