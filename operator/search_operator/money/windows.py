"""When pre-warm windows are open: cron starts in their own time zones, with their durations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

# More openings of one window than this are not looked for; a resource may declare one an hour, 8,784 in a year.
_MOST = 10_000


@dataclass(frozen=True)
class Window:
    """A named peak. `start` is a cron expression in `zone`, or one moment, an ISO 8601 time with its offset."""

    name: str
    start: str
    duration: timedelta
    replicas: int
    zone: ZoneInfo

    @property
    def is_one_time(self) -> bool:
        """Whether `start` is one moment: only cron holds spaces."""
        return " " not in self.start


@dataclass(frozen=True)
class Opening:
    """One time that a window is open: from `start` until before `end`."""

    name: str
    start: datetime
    end: datetime
    replicas: int


def openings(windows: Sequence[Window], after: datetime, before: datetime) -> tuple[Opening, ...]:
    """All openings that overlap [after, before), by start."""
    found = [
        Opening(window.name, start, start + window.duration, window.replicas)
        for window in windows
        for start in _starts(window, after, before)
        if start < before and start + window.duration > after
    ]
    return tuple(sorted(found, key=lambda opening: (opening.start, opening.name)))


def next_opening(window: Window, after: datetime) -> Opening | None:
    """The first opening that starts later than `after`; None when none ever does."""
    if window.is_one_time:
        start = datetime.fromisoformat(window.start)
        return (
            Opening(window.name, start, start + window.duration, window.replicas) if start > after else None
        )
    times = croniter(window.start, after.astimezone(window.zone))
    try:
        start = times.get_next(datetime)
        while _is_repeated(window, start):
            start = times.get_next(datetime)
    except CroniterBadDateError:
        return None
    start = start.astimezone(after.tzinfo)
    return Opening(window.name, start, start + window.duration, window.replicas)


def replicas_at(found: Sequence[Opening], at: datetime) -> int:
    """The most replicas that an opening wants at that moment; 0 outside all of them."""
    return max((o.replicas for o in found if o.start <= at < o.end), default=0)


def _starts(window: Window, after: datetime, before: datetime) -> list[datetime]:
    if window.is_one_time:
        return [datetime.fromisoformat(window.start)]
    # Arithmetic in UTC: a duration is so many real hours, also over a change of clocks.
    times = croniter(window.start, (after - window.duration - timedelta(seconds=1)).astimezone(window.zone))
    found: list[datetime] = []
    try:
        while len(found) < _MOST:
            start: datetime = times.get_next(datetime)
            if start >= before:
                break
            if not _is_repeated(window, start):
                found.append(start.astimezone(after.tzinfo))
    except CroniterBadDateError:
        pass
    return found


def _is_repeated(window: Window, start: datetime) -> bool:
    """Whether the clocks went back and this is a named hour's second time that day."""
    return start.fold == 1 and "*" not in window.start.split()[1]
