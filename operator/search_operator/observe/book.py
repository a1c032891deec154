"""The book of releases: what must outlive the operator and the status. It lies in the pointer's ConfigMap.

The pointer and the book change in one write, so that a switch happens wholly or not at all.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import ValidationError
from search_plane.release.gateway_state import ReleaseTraffic
from search_plane.release.identity import Frozen
from search_plane.release.record import ReleaseRecord

BOOK_KEY = "releases.json"
FAILURES_KEPT = 8


class Held(Frozen):
    """A release in its part: `since` when, `by` what it came to it, and `until` when the previous one is retained.

    `traffic` is what gateways saw of the previous release in the minute before it was replaced.
    """

    record: ReleaseRecord
    since: datetime
    by: Literal["Spec", "Rollback", "Watch", "Loss"] = "Spec"
    until: datetime | None = None
    traffic: ReleaseTraffic | None = None

    @property
    def release(self) -> str:
        """Its name."""
        return self.record.release


class FailedRelease(Frozen):
    """A release that must not be tried again until the spec asks for another one, or a later request comes."""

    release: str
    at: datetime
    reason: str
    message: str


class Book(Frozen):
    """Who plays which part: the release that answers, the one on its way, the one to go back to, and those to remove.

    `failed` holds what must not be tried again, newest last.
    """

    active: Held | None = None
    candidate: Held | None = None
    previous: Held | None = None
    retiring: tuple[ReleaseRecord, ...] = ()
    failed: tuple[FailedRelease, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON: the same book is always the same text."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()

    @property
    def held(self) -> tuple[Held, ...]:
        """Active, candidate and previous, as far as there are such; one release may be two of them."""
        return tuple(held for held in (self.active, self.candidate, self.previous) if held)

    def failure_of(self, release: str) -> FailedRelease | None:
        """Why that release failed, if it did."""
        return next((f for f in reversed(self.failed) if f.release == release), None)


def book_in(config_map: Mapping[str, Any] | None) -> Book:
    """The book in the pointer's ConfigMap; an empty one when there is none, or somebody has spoilt it."""
    text = (config_map or {}).get("data", {}).get(BOOK_KEY, "{}")
    try:
        return Book.model_validate_json(text)
    except ValidationError:
        return Book()
