"""When a refresh or a full rebuild is due: by the schedule, or because somebody asked for one."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.values import duration_of
from search_operator.render.child import REFRESH_ANNOTATION


def rfc3339(moment: datetime) -> str:
    """UTC to the second, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def requested_at(index: SemanticSearchIndex) -> datetime | None:
    """The latest request for a refresh, of the spec or of the annotation; one that is no time does not count."""
    asked = (index.spec.refresh.requested_at, index.annotations.get(REFRESH_ANNOTATION))
    return max((time for text in asked if (time := _moment(text))), default=None)


def next_due(index: SemanticSearchIndex, now: datetime) -> datetime | None:
    """When the schedule is due next; None for one that never is, such as the 30th of February."""
    return _due(index, now, forward=True)


def rebuild_due(index: SemanticSearchIndex, since: datetime, now: datetime) -> datetime | None:
    """The full rebuild that is due since then: one asked for, or one by the schedule within its starting deadline."""
    if index.spec.refresh.mode != "Full":
        return None
    asked = requested_at(index)
    found = [asked] if asked and since < asked <= now else []
    scheduled = _due(index, now, forward=False)
    if (
        scheduled
        and since < scheduled
        and now - scheduled <= duration_of(index.spec.refresh.starting_deadline)
    ):
        found.append(scheduled)
    return max(found, default=None)


def _due(index: SemanticSearchIndex, now: datetime, *, forward: bool) -> datetime | None:
    refresh = index.spec.refresh
    times = croniter(refresh.schedule, now.astimezone(ZoneInfo(refresh.time_zone)))
    try:
        due: datetime = times.get_next(datetime) if forward else times.get_prev(datetime)
    except CroniterBadDateError:
        return None
    return due


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
