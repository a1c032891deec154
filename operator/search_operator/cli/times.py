"""Times as a person reads them: how long ago, how long until."""

from datetime import datetime, timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(length: timedelta) -> str:
    """`3 h`, `2 d`, `45 s`: rounded to the greatest unit of which there are two, at least."""
    seconds = max(0, round(length.total_seconds()))
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds} s"


def ago(text: str, now: datetime) -> str:
    """`3 h ago`, `in 2 d`; the text itself where it is no time, empty for empty."""
    moment = _moment(text)
    if moment is None:
        return text
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def until(text: str, now: datetime) -> str:
    """`2026-11-10T10:00:00Z (in 2 d)`; empty for empty."""
    return f"{text} ({ago(text, now)})" if _moment(text) else text


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
