"""Texts of the demo: durations, failures, tables."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from demo.steps import Outcome, StepFailed
from tests.testbed.cluster import TestbedError

TAIL_LINES = 25


def duration(seconds: float) -> str:
    """`3.2 s` below a minute, else `2 min 05 s`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def last_lines(text: str, count: int = TAIL_LINES) -> str:
    """The last lines of a log that are not blank."""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-count:])


def failure(outcome: Outcome) -> str:
    """What failed, the end of the log, how to look further, and what to do."""
    error, step = outcome.error, outcome.step
    parts = [f"FAILED after {duration(outcome.seconds)}: {step.title}"]
    if error is not None and not isinstance(error, StepFailed | TestbedError):
        # Nobody foresaw this one, so whoever reads it needs to know where it came from.
        parts.append(last_lines("".join(traceback.format_exception(error))))
    else:
        parts.append(f"{error}")
    if isinstance(error, StepFailed):
        if error.tail:
            parts.append("Last lines of the log:\n" + indented(last_lines(error.tail)))
        if error.look:
            parts.append("Look further:\n" + indented("\n".join(error.look)))
    remedy = f"{step.remedy}. " if step.remedy else ""
    parts.append(f"What to do: {remedy}Then run it again: what is done is kept.")
    return "\n".join(parts)


def indented(text: str) -> str:
    """Each line moved right by two."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def durations(outcomes: Sequence[Outcome], wall_seconds: float) -> str:
    """A table of steps and how long each took; the last line is the time on the wall."""
    rows = [(outcome.step.title, duration(outcome.seconds)) for outcome in outcomes]
    rows.append(("all, on the wall (steps run side by side)", duration(wall_seconds)))
    width = max(len(title) for title, _ in rows)
    return "\n".join(f"{title:<{width}}  {took:>12}" for title, took in rows)
