"""Digests of sets of (id, content hash): they tell whether two sets are equal, and if not, roughly where.

Order-independent, incremental, and of constant size however many rows are added.
"""

import hashlib
from dataclasses import dataclass, field

BUCKETS = 1024

_SUM_BITS = 128
_SUM_MASK = (1 << _SUM_BITS) - 1


def bucket_of(row_id: str, buckets: int = BUCKETS) -> int:
    """The bucket of an id; depends on the id alone, so a changed row stays in its bucket."""
    digest = hashlib.blake2b(row_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


@dataclass(slots=True)
class IdSetDigest:
    """Per bucket: how many rows, and the sum modulo 2^128 of their 128-bit hashes.

    A sum, not an exclusive or: a row that is counted twice must not vanish.
    """

    buckets: int = BUCKETS
    _counts: list[int] = field(init=False)
    _sums: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = [0] * self.buckets
        self._sums = [0] * self.buckets

    def add(self, row_id: str, content_hash: str) -> None:
        """Adds one row. Rows may come in any order; adding one twice makes the digest differ."""
        bucket = bucket_of(row_id, self.buckets)
        self._counts[bucket] += 1
        self._sums[bucket] = (self._sums[bucket] + _row_hash(row_id, content_hash)) & _SUM_MASK

    def remove(self, row_id: str, content_hash: str) -> None:
        """Takes one row out again that was added before."""
        bucket = bucket_of(row_id, self.buckets)
        self._counts[bucket] -= 1
        self._sums[bucket] = (self._sums[bucket] - _row_hash(row_id, content_hash)) & _SUM_MASK

    @property
    def rows(self) -> int:
        """How many rows were added."""
        return sum(self._counts)

    def differing(self, other: "IdSetDigest") -> frozenset[int]:
        """The buckets whose rows differ; none for equal sets. ValueError for another bucketing."""
        if self.buckets != other.buckets:
            raise ValueError(f"digests of {self.buckets} and {other.buckets} buckets cannot be compared")
        mine, theirs = (
            zip(self._counts, self._sums, strict=True),
            zip(other._counts, other._sums, strict=True),
        )
        return frozenset(bucket for bucket, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)


def _row_hash(row_id: str, content_hash: str) -> int:
    encoded = row_id.encode()
    # The length in front keeps ("ab", "c") apart from ("a", "bc").
    message = len(encoded).to_bytes(4, "big") + encoded + content_hash.encode()
    return int.from_bytes(hashlib.blake2b(message, digest_size=_SUM_BITS // 8).digest(), "big")
