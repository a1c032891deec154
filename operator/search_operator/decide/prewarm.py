"""Pre-warm windows: which are open, which are warming, and the fewest encoders that come of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.spec import Spec
from search_operator.api.status import EncoderStart, WindowStatus
from search_operator.api.values import duration_of
from search_operator.decide.capacity import Fleet
from search_operator.decide.schedule import rfc3339
from search_operator.money.windows import Opening, Window, next_opening, openings
from search_operator.observe.observation import Observation, PodView

# Until a start has been measured.
DEFAULT_LEAD = timedelta(minutes=5)
# Beside a start: the HPA's controller looks every 15 s, and the last of several encoders is later than the first.
MARGIN = timedelta(minutes=1)
# What took longer waited for something else: a quota, a person, a node that never came.
LONGEST_START = timedelta(hours=1)
STARTS_KEPT = 20

_Model = TypeVar("_Model", EncoderStart, WindowStatus)


@dataclass(frozen=True)
class Standing:
    """One opening of a window, and from when on encoders are started for it."""

    opening: Opening
    state: Literal["Next", "Warming", "Open"]
    warm_from: datetime


@dataclass(frozen=True)
class Prewarm:
    """Where the windows stand: those warming or open, and the next one, by start.

    `wanted`: the encoders that they ask for now, 0 for none. `changes_at`: when time alone changes any of this.
    """

    standings: tuple[Standing, ...] = ()
    wanted: int = 0
    changes_at: datetime | None = None


def windows_of(spec: Spec) -> tuple[Window, ...]:
    """The windows that the spec declares."""
    return tuple(
        Window(w.name, w.start, duration_of(w.duration), w.replicas, ZoneInfo(w.time_zone))
        for w in spec.encoder.autoscaling.prewarm
    )


def leads_of(spec: Spec, start_seconds: int | None) -> dict[str, timedelta]:
    """How long before each window, by name, encoders are started: as declared, else as long as a start takes."""
    measured = DEFAULT_LEAD if start_seconds is None else timedelta(seconds=start_seconds) + MARGIN
    return {
        w.name: measured if w.lead is None else duration_of(w.lead) for w in spec.encoder.autoscaling.prewarm
    }


def early(found: Sequence[Opening], leads: Mapping[str, timedelta]) -> tuple[Opening, ...]:
    """The openings from when on encoders run for them, which is what they cost."""
    return tuple(replace(opening, start=opening.start - leads[opening.name]) for opening in found)


def prewarm(observation: Observation) -> Prewarm:
    """Where the windows of an index stand. While it is paused nothing is done about them, so that none stands."""
    index = observation.index
    if index.spec.paused or not index.spec.encoder.autoscaling.prewarm:
        return Prewarm()
    leads = leads_of(index.spec, start_seconds(starts(observation)))
    return standing(windows_of(index.spec), leads, observation.now, _begun(index))


def standing(
    windows: Sequence[Window],
    leads: Mapping[str, timedelta],
    now: datetime,
    begun: frozenset[tuple[str, str]] = frozenset(),
) -> Prewarm:
    """The windows at a moment.

    `begun` are openings (name and start) that were warming before: they go on although the lead has become shorter,
    as the very encoders that they start are measured.
    """
    current: list[Standing] = []
    following: list[Standing] = []
    for window in windows:
        lead = leads[window.name]
        horizon = now + max(lead, LONGEST_START + MARGIN) + timedelta(seconds=1)
        found = [
            opening
            for opening in openings([window], now, horizon)
            if opening.start - lead <= now or (opening.name, rfc3339(opening.start)) in begun
        ]
        if found:
            current.append(_joined(found, lead, now))
        if opening := next_opening(window, max((now, *(o.start for o in found)))):
            following.append(Standing(opening, "Next", opening.start - lead))
    changes = [s.opening.start if s.state == "Warming" else s.opening.end for s in current]
    changes += [s.warm_from for s in following]
    upcoming = sorted(following, key=lambda s: (s.warm_from, s.opening.start))[:1]
    return Prewarm(
        standings=(*sorted(current, key=lambda s: (s.opening.start, s.opening.name)), *upcoming),
        wanted=max((s.opening.replicas for s in current), default=0),
        changes_at=min(changes, default=None),
    )


def _joined(found: Sequence[Opening], lead: timedelta, now: datetime) -> Standing:
    """Openings of one window as one: where it opens again before it closes, it goes on."""
    start, end = min(o.start for o in found), max(o.end for o in found)
    whole = replace(found[0], start=start, end=end)
    return Standing(whole, "Open" if start <= now else "Warming", min(start - lead, now))


def warmed(fleet: Fleet, wanted: int) -> Fleet:
    """The fleet with the minimum raised to what windows want, never beyond its maximum."""
    return replace(fleet, minimum=max(fleet.minimum, min(wanted, fleet.maximum)))


def starts(observation: Observation) -> tuple[EncoderStart, ...]:
    """The last starts of encoders: those that the status tells, and those of pods that got ready since.

    What was measured of a pod stays, as a later change of its readiness is no start.
    """
    known = {start.pod: start for start in _told_starts(observation.index)}
    for pod in observation.pods:
        if (start := _start_of(pod)) and pod.name not in known:
            known[pod.name] = start
    return tuple(sorted(known.values(), key=lambda start: (start.ready_at, start.pod))[-STARTS_KEPT:])


def start_seconds(found: Sequence[EncoderStart]) -> int | None:
    """The 95th percentile of starts (nearest rank); None while none is known."""
    if not found:
        return None
    seconds = sorted(start.seconds for start in found)
    return seconds[-(-95 * len(seconds) // 100) - 1]


def window_statuses(observation: Observation, fleet: Fleet | None) -> tuple[WindowStatus, ...]:
    """The windows for the status; `fleet` is that of the release that answers. A paused index keeps what was told."""
    if observation.index.spec.paused:
        return _told_windows(observation.index)
    return tuple(
        WindowStatus(
            name=stands.opening.name,
            state=stands.state,
            warm_from=_warm_from(observation.index, stands),
            start=rfc3339(stands.opening.start),
            end=rfc3339(stands.opening.end),
            replicas=stands.opening.replicas,
            granted=min(stands.opening.replicas, fleet.maximum) if fleet else None,
        )
        for stands in prewarm(observation).standings
    )


def _warm_from(index: SemanticSearchIndex, stands: Standing) -> str:
    """As it was told when the warming began, so that a new measure does not rewrite what has been."""
    start = rfc3339(stands.opening.start)
    told = [w.warm_from for w in _told_windows(index) if (w.name, w.start) == (stands.opening.name, start)]
    return told[0] if told and stands.state != "Next" else rfc3339(stands.warm_from)


def _begun(index: SemanticSearchIndex) -> frozenset[tuple[str, str]]:
    return frozenset((told.name, told.start) for told in _told_windows(index) if told.state != "Next")


def _start_of(pod: PodView) -> EncoderStart | None:
    if pod.component != "encoder" or pod.started is None or pod.started.took > LONGEST_START:
        return None
    seconds = max(1, round(pod.started.took.total_seconds()))
    return EncoderStart(pod=pod.name, ready_at=rfc3339(pod.started.ready_at), seconds=seconds)


def _told_starts(index: SemanticSearchIndex) -> list[EncoderStart]:
    return [s for told in _told(index, "starts") if (s := _read(EncoderStart, told))]


def _told_windows(index: SemanticSearchIndex) -> tuple[WindowStatus, ...]:
    return tuple(w for told in _told(index, "windows") if (w := _read(WindowStatus, told)))


def _told(index: SemanticSearchIndex, what: str) -> Sequence[Any]:
    return tuple((index.status.get("encoder") or {}).get(what) or ())


def _read(model: type[_Model], told: Any) -> _Model | None:
    """None for what another version has told otherwise."""
    try:
        return model.model_validate(told)
    except ValidationError:
        return None
