"""The query as it was understood."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Correction:
    """A word that was taken for another: 蓝芽 for 蓝牙."""

    written: str
    meant: str


@dataclass(frozen=True, slots=True)
class Understood:
    """One query.

    `text` is folded (NFKC, simplified, lower-case Latin) and corrected: what is embedded and looked for. `brands` are
    values of the catalogue's brand field that the query names; with `brand_certain` only those may be hits, else they
    are preferred. `rest` is `text` without the brands. `whole` are model numbers and measures that must match in one
    piece (20W, Type-C, iPhone 15). `alternatives` are groups of words of `text` with what means the same, the written
    word first. `excluded` are words after a negation (不要, 非). `price` is what price words ask for.
    """

    text: str
    rest: str
    brands: tuple[str, ...] = ()
    brand_certain: bool = False
    whole: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()
    price: Literal["low", "high"] | None = None
    corrections: tuple[Correction, ...] = ()


def as_written(text: str) -> Understood:
    """A query of which nothing is known but its text."""
    return Understood(text=text, rest=text)
