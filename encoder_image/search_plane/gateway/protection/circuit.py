"""When a dependency is asked and when it is left alone: pure functions over frozen state. Times are seconds of one clock.

closed -> open: enough of the last calls were slow, failed or refused (`verdict`).
open -> half-open: after a pause of 1, 2, 4, 8, 8 ... s, or when a call that had to be made all the same was answered.
half-open -> closed: three good probes in a row, one at a time; -> open: a bad one.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

State = Literal["closed", "open", "half-open"]
Outcome = Literal["good", "slow", "failed", "refused", "nothing"]
Reason = Literal["slow", "failed", "refused"]
Admission = Literal["asked", "probe", "turned away"]
# How a call ended: `gave up` by a deadline, `overload` when the dependency itself said so, `else` is not its fault.
End = Literal["answer", "gave up", "fault", "overload", "else"]

# Fewer bad calls are chance, whatever their share.
LEAST_BAD: Final = 5
# A p95 is above a limit when more than 5 % of the calls are.
SLOW_SHARE: Final = 0.05
# By how many the failed calls must outnumber the others: with fewer failures those others are worth more than the quiet,
# as each failed one is covered by the other way. A lead and not a share: of ten calls, half fail by chance at 30 % too.
FAILED_LEAD: Final = 8
# An overloaded dependency refuses in a millisecond and answers what it can; only one that answers nobody is left alone.
REFUSED_SHARE: Final = 0.95
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 8.0
GOOD_PROBES: Final = 3
# A call that was given up sooner had no fair chance: an earlier step of the query took its time.
FAIR_SECONDS: Final = 0.1
# Trouble that is older is no passing blip: who judges the release counts what was not asked as failed.
LASTING_SECONDS: Final = 10.0


class Counts(NamedTuple):
    """Calls that ended within some time, and how many of them were bad, by kind."""

    calls: int = 0
    slow: int = 0
    failed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Circuit:
    """A breaker's state since `since`.

    `epoch` counts changes of state: a call that began in an earlier one says nothing of this one. `openings` and
    `trouble_since` last over short times of being closed; `good` probes in a row, and whether one is under way.
    """

    state: State = "closed"
    since: float = float("-inf")
    epoch: int = 0
    openings: int = 0
    trouble_since: float = 0.0
    good: int = 0
    probing: bool = False


def verdict(whole: Counts, recent: Counts) -> Reason | None:
    """Why a closed circuit opens, if it does: the p95 of the `whole` window, or the failures of either.

    The recent part of the window answers soon when there is much traffic, the whole one ever when there is little.
    """
    if whole.slow >= LEAST_BAD and whole.slow > SLOW_SHARE * whole.calls:
        return "slow"
    if whole.failed >= LEAST_BAD and whole.failed == whole.calls:
        return "failed"
    for counts in (recent, whole):
        if 2 * counts.failed - counts.calls >= FAILED_LEAD:
            return "failed"
        bad = counts.failed + counts.refused
        if bad >= LEAST_BAD and bad >= REFUSED_SHARE * counts.calls:
            return "refused"
    return None


def outcome(end: End, seconds: float, latency_seconds: float | None) -> Outcome:
    """What a call that took `seconds` says of the dependency. `latency_seconds`: the limit if latency is judged."""
    if end == "answer":
        return "slow" if latency_seconds is not None and seconds > latency_seconds else "good"
    if end == "gave up":
        if latency_seconds is None:
            return "failed" if seconds >= FAIR_SECONDS else "nothing"
        return "slow" if seconds >= min(latency_seconds, FAIR_SECONDS) else "nothing"
    if end == "fault":
        return "failed"
    return "refused" if end == "overload" else "nothing"


def pause(circuit: Circuit) -> float:
    """Seconds that an open circuit stays open."""
    return min(FIRST_PAUSE * 2.0 ** min(circuit.openings - 1, 16), LONGEST_PAUSE)


def at(circuit: Circuit, now: float) -> Circuit:
    """The circuit as it is at `now`: half-open once its pause is over."""
    if circuit.state == "open" and now - circuit.since >= pause(circuit):
        return _half_open(circuit, now, good=0)
    return circuit


def admitted(circuit: Circuit, regardless: bool) -> tuple[Circuit, Admission]:
    """Whether one more call may be made, of a circuit as it is now; `regardless`: it is made in any case."""
    if circuit.state == "closed":
        return circuit, "asked"
    if circuit.state == "half-open" and not circuit.probing:
        return replace(circuit, probing=True), "probe"
    return circuit, "asked" if regardless else "turned away"


def opened(circuit: Circuit, now: float, calm_seconds: float) -> Circuit:
    """Open from `now` on; the pause begins anew at its shortest when it was closed for `calm_seconds` before."""
    fresh = circuit.openings == 0 or (circuit.state == "closed" and now - circuit.since >= calm_seconds)
    return Circuit(
        state="open",
        since=now,
        epoch=circuit.epoch + 1,
        openings=1 if fresh else circuit.openings + 1,
        trouble_since=now if fresh else circuit.trouble_since,
    )


def told(circuit: Circuit, admission: Admission, result: Outcome, now: float, calm_seconds: float) -> Circuit:
    """After a call of this epoch ended, of a circuit that is not closed."""
    probe = admission == "probe"
    if probe:
        circuit = replace(circuit, probing=False)
    if result == "good":
        if circuit.state == "open":
            return _half_open(circuit, now, good=1)
        if circuit.good + 1 >= GOOD_PROBES:
            return replace(circuit, state="closed", since=now, epoch=circuit.epoch + 1, good=0, probing=False)
        return replace(circuit, good=circuit.good + 1)
    # What was asked although the circuit is open must not keep it open for longer.
    return circuit if result == "nothing" or not probe else opened(circuit, now, calm_seconds)


def lasting(circuit: Circuit, now: float) -> bool:
    """Whether its trouble is more than a passing blip."""
    return circuit.state != "closed" and now - circuit.trouble_since >= LASTING_SECONDS


def _half_open(circuit: Circuit, now: float, good: int) -> Circuit:
    return replace(circuit, state="half-open", since=now, epoch=circuit.epoch + 1, good=good, probing=False)
