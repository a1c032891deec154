"""The lines of the search log as they are read back, and the searches that they make up. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

KINDS: Final = frozenset({"exposure", "click"})


class _Line(BaseModel):
    """Fields of later versions are passed over, so that old reports read new logs."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    at: AwareDatetime = Field(alias="@timestamp")
    event_id: str
    search_id: str


class Exposure(_Line):
    """An answer that was given; see SearchLog.exposure."""

    event: Literal["exposure"]
    query: str
    bucket: int | None = None
    experiment: str | None = None
    arm: str | None = None
    share: float | None = None
    path: str = ""
    degraded: tuple[str, ...] = ()
    reranked: bool = False
    cohort: bool | None = None
    filtered: bool = False
    offset: int = 0
    hits: tuple[str, ...] = ()
    top_score: float | None = None
    margin: float | None = None


class Click(_Line):
    """A hit that was opened; see SearchLog.click."""

    event: Literal["click"]
    id: str
    rank: int


_LINE: TypeAdapter[Exposure | Click] = TypeAdapter(Annotated[Exposure | Click, Field(discriminator="event")])


@dataclass(frozen=True, slots=True)
class Malformed:
    """An event that can't be read: where it stands, and why."""

    place: str
    reason: str


def parsed(place: str, value: object) -> Exposure | Click | Malformed | None:
    """The event in a JSON value; None for what is no event of the search log, such as a line of another logger."""
    if not isinstance(value, Mapping) or value.get("event") not in KINDS:
        return None
    try:
        return _LINE.validate_python(dict(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Malformed(place, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")


@dataclass(frozen=True)
class Search:
    """An answer and the clicks on its hits, the earliest first."""

    shown: Exposure
    clicks: tuple[Click, ...] = ()

    @property
    def at(self) -> datetime:
        """When it was answered."""
        return self.shown.at

    @property
    def clicked(self) -> bool:
        """Whether any hit was opened."""
        return bool(self.clicks)

    @cached_property
    def reciprocal_rank(self) -> float:
        """1 / rank of the hit that was opened first; 0 without a click."""
        return 1 / self.clicks[0].rank if self.clicks else 0.0

    @property
    def empty(self) -> bool:
        """Whether nothing was found."""
        return not self.shown.hits

    @property
    def first_page(self) -> bool:
        """Later pages are the same search going on."""
        return self.shown.offset == 0


@dataclass(frozen=True, slots=True)
class Searches:
    """All searches in the order of their times, and what of the log could not be used, by why."""

    searches: tuple[Search, ...]
    left_out: Mapping[str, int]


def joined(events: Iterable[Exposure | Click]) -> Searches:
    """Brings clicks to their answers.

    A click counts where its answer showed that product at that rank: anybody can post one. An event that was written
    twice counts once, and so does a search_id.
    """
    left_out: Counter[str] = Counter()
    exposures: dict[str, Exposure] = {}
    clicks: dict[str, list[Click]] = defaultdict(list)
    seen: set[str] = set()
    for event in events:
        if event.event_id in seen:
            left_out["written twice"] += 1
            continue
        seen.add(event.event_id)
        if isinstance(event, Click):
            clicks[event.search_id].append(event)
        elif event.search_id in exposures:
            left_out["another answer under the same request id"] += 1
        else:
            exposures[event.search_id] = event
    searches = []
    for search_id, shown in exposures.items():
        theirs = clicks.pop(search_id, [])
        fitting = [click for click in theirs if _fits(click, shown)]
        if wrong := len(theirs) - len(fitting):
            left_out["a click on what was not shown there"] += wrong
        searches.append(Search(shown, tuple(sorted(fitting, key=lambda click: click.at))))
    if orphans := sum(map(len, clicks.values())):
        left_out["a click without its answer"] += orphans
    searches.sort(key=lambda search: search.at)
    return Searches(tuple(searches), dict(left_out))


def _fits(click: Click, shown: Exposure) -> bool:
    place = click.rank - 1 - shown.offset
    return 0 <= place < len(shown.hits) and shown.hits[place] == click.id
