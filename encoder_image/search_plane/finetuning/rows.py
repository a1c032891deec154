"""One row of a click log: a pair with its hard negatives, or how often a product was shown and clicked. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from search_plane.release.identity import Frozen
from search_plane.release.record import MAX_ID_LENGTH

_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]


class Refused(Exception):
    """The job can't go on, or its result is not worth keeping; one line with the remedy."""


class ClickRow(Frozen):
    """A row as it is written. Products are ids of the catalogue or their texts.

    With `impressions` and `clicks` (counts over any span of time) the row says how one product fared for the query,
    and whether it is a positive or a hard negative is decided later (see pairs.Limits); without them it was clicked.
    """

    query: _Text
    product_id: _Id | None = None
    product_text: _Text | None = None
    negative_ids: tuple[_Id, ...] = ()
    negative_texts: tuple[_Text, ...] = ()
    impressions: _Count | None = None
    clicks: _Count | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ClickRow":
        if (self.product_id is None) == (self.product_text is None):
            raise ValueError("give product_id or product_text, and not both")
        if (self.impressions is None) != (self.clicks is None):
            raise ValueError("give impressions and clicks, or neither")
        if self.impressions is not None and (self.negative_ids or self.negative_texts):
            raise ValueError("a row with impressions is about one product, it can't have negatives")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that has to be resolved to a text."""
        return (*([self.product_id] if self.product_id else []), *self.negative_ids)


FIELDS: tuple[str, ...] = tuple(ClickRow.model_fields)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is not used: where it stands (`clicks.jsonl line 3`), why in fixed words, and what was found."""

    place: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Row:
    """A sound row and where it stands."""

    place: str
    click: ClickRow


Rows = Iterator[Row | Skipped]


def checked(place: str, raw: object) -> Row | Skipped:
    """The row, or why it is none. A field that is null counts as left out. Never raises."""
    if not isinstance(raw, Mapping):
        return Skipped(place, "not an object", f"{raw!r:.80}")
    given: dict[Any, Any] = {name: value for name, value in raw.items() if value is not None}
    try:
        return Row(place, ClickRow.model_validate(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        return Skipped(place, "malformed", f"{name}: {message}" if name else message)
