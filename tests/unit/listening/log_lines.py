"""Lines of a search log for the tests, as parsed events."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from search_plane.listening.events import Click, Exposure, Search, joined, parsed

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
_NUMBERS = itertools.count(1)


def exposure(
    query: str = "蓝牙耳机", seconds: float = 0, hits: Sequence[str] = ("A", "B", "C"), **others: Any
) -> Exposure:
    """An exposure `seconds` after nine; what is not said has a plausible value."""
    line = {
        "@timestamp": (START + timedelta(seconds=seconds)).isoformat(),
        "event": "exposure",
        "event_id": f"e{next(_NUMBERS)}",
        "search_id": f"s{next(_NUMBERS)}",
        "query": query,
        "bucket": 1,
        "path": "fused",
        "hits": list(hits),
        "top_score": 0.5,
        "margin": 0.1,
    }
    event = parsed("a test", line | others)
    assert isinstance(event, Exposure), event
    return event


def click_on(shown: Exposure, rank: int, seconds: float = 5, **others: Any) -> Click:
    """A click on the hit of that rank, so many seconds after the answer."""
    line = {
        "@timestamp": (shown.at + timedelta(seconds=seconds)).isoformat(),
        "event": "click",
        "event_id": f"e{next(_NUMBERS)}",
        "search_id": shown.search_id,
        "id": shown.hits[rank - 1 - shown.offset],
        "rank": rank,
    }
    event = parsed("a test", line | others)
    assert isinstance(event, Click), event
    return event


def search(rank: int | None = None, **shown: Any) -> Search:
    """A search, clicked at that rank or not at all."""
    event = exposure(**shown)
    (found,) = joined([event, *([click_on(event, rank)] if rank else [])]).searches
    return found
