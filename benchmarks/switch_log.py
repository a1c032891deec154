"""The compact log of a query load: one fixed-size record an answer, so that checking costs the run nothing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

K = 10

# Bits of `degraded`: nobody could ask the catalogue; something else was missing; found by words, not by meaning.
CATALOGUE_AWAY, LESS_THAN_WHOLE, BY_WORDS = 1, 2, 4

ANSWER = np.dtype(
    [
        ("started", "f8"),
        ("seconds", "f4"),
        ("query", "u2"),
        ("status", "i2"),
        ("release", "S16"),
        ("degraded", "u1"),
        ("dropped", "u2"),
        ("hits", "u1"),
        ("ids", "i8", (K,)),
        ("scores", "f4", (K,)),
    ]
)
"""`started` is time.monotonic() of the machine, `seconds` until the whole body was there; `query` an index into the
list of queries; `status` HTTP's, 0 when there was none; `ids` are the digits of SKUs. Only `hits` of the K are set."""

Answers = NDArray[np.void]


def sku_number(sku: str) -> int:
    """The digits of a sample catalogue's SKU; ValueError for any other id."""
    if not sku.startswith("SP"):
        raise ValueError(f"{sku!r} is no SKU of the sample catalogue")
    return int(sku[2:])


def sku_name(number: int) -> str:
    """The SKU of those digits."""
    return f"SP{number:011d}"


def read_answers(paths: Sequence[Path]) -> Answers:
    """All records of some logs, by time."""
    parts = [np.fromfile(path, dtype=ANSWER) for path in paths]
    answers = np.concatenate(parts) if parts else np.empty(0, dtype=ANSWER)
    return answers[np.argsort(answers["started"], kind="stable")]
