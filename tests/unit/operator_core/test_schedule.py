"""When a refresh or a rebuild is due: time zones, missed runs, and requests by the spec and by the annotation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.schedule import next_due, rebuild_due, requested_at, rfc3339

from tests.unit.operator_core.builders import sample

ANNOTATION = "semanticsearch.io/refresh-requested-at"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def of(annotation: str = "", **refresh: Any) -> SemanticSearchIndex:
    body = sample(refresh=refresh)
    if annotation:
        body["metadata"]["annotations"] = {ANNOTATION: annotation}
    return SemanticSearchIndex.parse(body)


@pytest.mark.parametrize(
    ("schedule", "zone", "now", "due"),
    [
        # Mondays at 3 in Shanghai are Sundays at 19 in UTC.
        ("0 3 * * 1", "Asia/Shanghai", "2026-11-22T18:59:59", "2026-11-22T19:00:00"),
        ("0 3 * * 1", "Asia/Shanghai", "2026-11-22T19:00:00", "2026-11-29T19:00:00"),
        ("0 3 * * 1", "UTC", "2026-11-22T19:00:00", "2026-11-23T03:00:00"),
        # Berlin leaves summer time on 2026-10-25.
        ("0 3 * * *", "Europe/Berlin", "2026-10-24T00:00:00", "2026-10-24T01:00:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-26T02:00:00"),
        ("30 0 1 * *", "Asia/Shanghai", "2026-11-30T15:00:00", "2026-11-30T16:30:00"),
    ],
)
def test_the_next_run_is_by_the_clock_of_its_time_zone(schedule: str, zone: str, now: str, due: str) -> None:
    found = next_due(of(schedule=schedule, timeZone=zone), utc(now))
    assert found is not None
    assert rfc3339(found) == f"{due}Z"


def test_a_schedule_without_any_day_is_never_due() -> None:
    never = of(schedule="0 0 30 2 *", mode="Full")
    assert next_due(never, utc("2026-11-22T00:00:00")) is None
    assert rebuild_due(never, utc("2020-01-01T00:00:00"), utc("2026-11-22T00:00:00")) is None


SCHEDULED = "2026-11-22T19:00:00"


@pytest.mark.parametrize(
    ("since", "now", "due"),
    [
        ("2026-11-20T00:00:00", "2026-11-22T18:59:00", ""),
        ("2026-11-20T00:00:00", "2026-11-22T19:00:01", f"{SCHEDULED}Z"),
        # Missed, and still within its starting deadline of six hours: caught up.
        ("2026-11-20T00:00:00", "2026-11-23T00:59:59", f"{SCHEDULED}Z"),
        # Too late: it waits for the next one.
        ("2026-11-20T00:00:00", "2026-11-23T01:00:01", ""),
        # What came after it is as new as it would be.
        ("2026-11-22T20:00:00", "2026-11-22T21:00:00", ""),
    ],
)
def test_a_full_rebuild_is_due_once_per_run_and_a_missed_one_is_caught_up(
    since: str, now: str, due: str
) -> None:
    found = rebuild_due(of(mode="Full"), utc(since), utc(now))
    assert (rfc3339(found) if found else "") == due


def test_an_incremental_refresh_never_asks_for_a_rebuild() -> None:
    index = of("2026-11-22T19:30:00Z", mode="Incremental")
    assert rebuild_due(index, utc("2026-11-20T00:00:00"), utc("2026-11-22T20:00:00")) is None


def test_a_request_is_a_rebuild_from_its_time_on_unless_one_is_newer() -> None:
    index = of("2026-11-18T12:00:00Z", mode="Full")
    asked = utc("2026-11-18T12:00:00")
    assert rebuild_due(index, asked - timedelta(days=1), asked) == asked
    assert rebuild_due(index, asked - timedelta(days=1), asked - timedelta(seconds=1)) is None
    assert rebuild_due(index, asked, asked + timedelta(hours=1)) is None
    # It does not go stale, as a run of the schedule does.
    assert rebuild_due(index, asked - timedelta(days=1), asked + timedelta(days=3)) == asked


@pytest.mark.parametrize(
    ("spec", "annotation", "found"),
    [
        (None, "", ""),
        ("2026-11-22T10:00:00Z", "", "2026-11-22T10:00:00Z"),
        (None, "2026-11-22T10:00:00+08:00", "2026-11-22T02:00:00Z"),
        ("2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z"),
        ("2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z"),
        ("2026-11-22T12:00:00Z", "soon", "2026-11-22T12:00:00Z"),
        (None, "2026-11-22T10:00:00", "2026-11-22T10:00:00Z"),
    ],
)
def test_the_latest_request_counts_and_what_is_no_time_does_not(
    spec: str | None, annotation: str, found: str
) -> None:
    asked = requested_at(of(annotation, **({"requestedAt": spec} if spec else {})))
    assert (rfc3339(asked) if asked else "") == found
