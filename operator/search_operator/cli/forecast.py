"""What a new spec would make the operator do, before it is applied: pure, from the resource as it is and as it shall be.

Whatever can be asked of the operator's own functions is asked of them, so that the forecast follows the deed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from search_operator.api.derive import desired_release, encoder_identity
from search_operator.api.index import SemanticSearchIndex
from search_operator.cli.prices import priced
from search_operator.decide.capacity import (
    Fleet,
    Need,
    binary_size,
    collection_bytes,
    fleets,
    room,
)
from search_operator.decide.changes import Change, changes
from search_operator.decide.cost import Bill, bill
from search_operator.decide.prewarm import leads_of, windows_of
from search_operator.decide.schedule import requested_at, rfc3339
from search_operator.money.windows import Opening, next_opening, openings
from search_operator.observe.observation import Capacity, PricesView
from search_operator.render.reranker import devices_of, reranker_of

_NO_STATUS = "without a status: what is active and what is retained is taken from the spec alone"


class Kind(StrEnum):
    """What the change comes to."""

    NOTHING = "nothing changes"
    IN_PLACE = "applied in place, no release starts"
    FIRST = "the first release is built"
    NEW_RELEASE = "a new release is built and takes over"
    REBUILD = "a full rebuild: a new release is built from nothing and takes over"
    RETURN = "the retained release is caught up and takes over again"
    PROMOTION = "the candidate that waits for approval takes over"
    ROLLBACK = "the retained release takes over at once"
    REFUSED = "refused"


BUILDS = frozenset({Kind.FIRST, Kind.NEW_RELEASE, Kind.REBUILD})
SWITCHES = BUILDS | {Kind.RETURN, Kind.PROMOTION, Kind.ROLLBACK}
"""What ends with another release answering."""


@dataclass(frozen=True)
class FleetLine:
    """The encoders that `releases` share while releases change hands: from `minimum` to `maximum` pods."""

    releases: str
    minimum: int
    maximum: int


@dataclass(frozen=True)
class WindowLine:
    """A pre-warm window: its next opening (None: never again), and from when on encoders are started for it."""

    name: str
    replicas: int
    opening: Opening | None = None
    warm_from: datetime | None = None


@dataclass(frozen=True)
class Forecast:
    """All there is to tell of one index.

    `active` is the release that answers now and `wanted` the one that the new spec asks for, empty where not known;
    `same_vectors` tells whether both have one fingerprint, so that encoders are shared and vectors copied. `memory`
    is what the new collection needs in Milvus, all replicas, e.g. 7.1Gi, empty when the rows are not known. `rerankers`
    tells how many re-rankers run and on what, empty for none.
    """

    name: str
    namespace: str
    kind: Kind
    active: str
    wanted: str
    same_vectors: bool
    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fleets: tuple[FleetLine, ...] = ()
    shortages: tuple[str, ...] = ()
    memory: str = ""
    rerankers: str = ""
    windows: tuple[WindowLine, ...] = ()
    bill: Bill | None = None
    bill_during: Bill | None = None


@dataclass(frozen=True)
class _Aim:
    """What the change comes to, which release answers in the end, and what else is worth knowing."""

    kind: Kind
    release: str
    notes: tuple[str, ...] = ()


def forecast(
    new: SemanticSearchIndex,
    current: SemanticSearchIndex | None,
    now: datetime,
    refusals: Sequence[str] = (),
    shared: PricesView | None = None,
) -> Forecast:
    """What applying `new` over `current` (None: there is none yet) would do.

    `refusals` are what the API server has said against it; `shared` are the prices of the ConfigMap that `new` names,
    None where nobody has looked. Raises InvalidResource for an encoder that can't be.
    """
    with_prices = priced(new, shared or PricesView())
    if current is None:
        first = _told(
            with_prices, None, _Aim(Kind.FIRST, desired_release(new.spec)), "", (), tuple(refusals), now
        )
        notes = (*first.notes, *_unpriced(new, shared))
        return replace(first, windows=_windows(new, None, now), notes=notes)
    found = changes(current.spec, new.spec, active=bool(current.active_release) or not current.status)
    refused = tuple(refusals) or tuple(f"{c.path}: {c.why}" for c in found if c.effect == "Refused")
    active = current.active_release if current.status else desired_release(current.spec)
    aim = _aim(new, current, active, now)
    if aim.kind is Kind.IN_PLACE and not found:
        aim = replace(aim, kind=Kind.NOTHING)
    if not current.status:
        aim = replace(aim, notes=(*aim.notes, _NO_STATUS))
    told = _told(with_prices, current, aim, active, found, refused, now)
    return replace(told, windows=_windows(new, current, now), notes=(*told.notes, *_unpriced(new, shared)))


def _unpriced(new: SemanticSearchIndex, shared: PricesView | None) -> tuple[str, ...]:
    """Why no bill is told, where shared prices are missing."""
    if shared and shared.problem:
        return (f"no bill is told: {shared.problem.message}",)
    if shared is None and new.spec.cost and (ref := new.spec.cost.prices_config_map_ref):
        return (f"no bill is told: prices are in ConfigMap {ref.name}, which was not read",)
    return ()


def _windows(
    new: SemanticSearchIndex, current: SemanticSearchIndex | None, now: datetime
) -> tuple[WindowLine, ...]:
    """Each window's next opening, by the starts that were measured so far."""
    measured = (current.status.get("encoder") or {}).get("startSeconds") if current else None
    leads = leads_of(new.spec, measured)
    lines = []
    for window in windows_of(new.spec):
        # One that is open now is the next thing to know.
        opening = next(iter(openings([window], now, now + timedelta(seconds=1))), None)
        opening = opening or next_opening(window, now)
        warm_from = opening.start - leads[window.name] if opening else None
        lines.append(WindowLine(window.name, window.replicas, opening, warm_from))
    return tuple(lines)


def _aim(new: SemanticSearchIndex, current: SemanticSearchIndex, active: str, now: datetime) -> _Aim:
    if pinned := new.spec.rollout.rollback_to:
        return _rollback(pinned, current, active)
    if rebuild := _rebuild_asked(new, current, now):
        return _Aim(Kind.REBUILD, desired_release(new.spec, rebuild))
    held, wanted = _held(new, current), desired_release(new.spec)
    match held.get("role"):
        case "Previous":
            return _Aim(Kind.RETURN, str(held["name"]))
        case "Candidate":
            stage = held.get("stage") or "Pending"
            if stage == "AwaitingApproval" and _approved(str(held["name"]), new):
                return _Aim(Kind.PROMOTION, str(held["name"]))
            return _Aim(Kind.IN_PLACE, str(held["name"]), (f"{held['name']} is on its way already: {stage}",))
        case "Active":
            given_up = [r["name"] for r in _releases(current) if r.get("role") == "Candidate"]
            notes = (f"candidate {name} is given up, as nothing asks for it any more" for name in given_up)
            return _Aim(Kind.IN_PLACE, active, tuple(notes))
        case "Failed" if _asked_again(new, held):
            return _Aim(Kind.NEW_RELEASE if active else Kind.FIRST, str(held["name"]))
        case "Failed":
            why = held.get("message") or "see its status"
            note = f"{held['name']} has failed before ({why}); only a refresh asked for since then tries it again"
            return _Aim(Kind.IN_PLACE, active, (note,))
    if wanted == desired_release(current.spec):
        return _Aim(Kind.IN_PLACE, wanted)
    return _Aim(Kind.NEW_RELEASE if active else Kind.FIRST, wanted)


def _approved(candidate: str, new: SemanticSearchIndex) -> bool:
    rollout = new.spec.rollout
    return rollout.promotion == "Automatic" or rollout.approved_release == candidate


def _asked_again(new: SemanticSearchIndex, failed: Mapping[str, Any]) -> bool:
    asked, since = requested_at(new), failed.get("since")
    return asked is not None and since is not None and asked > datetime.fromisoformat(since)


def _rollback(pinned: str, current: SemanticSearchIndex, active: str) -> _Aim:
    stays = f"while spec.rollout.rollbackTo names {pinned}, no other release is built"
    if pinned == active:
        return _Aim(Kind.IN_PLACE, active, (stays,))
    retained = [str(r["name"]) for r in _releases(current) if r.get("role") == "Previous"]
    if pinned in retained or not current.status:
        return _Aim(Kind.ROLLBACK, pinned, (stays,))
    known = ", ".join(retained) or "none"
    note = f"{pinned} is not retained (retained: {known}), so that nothing can go back to it"
    return _Aim(Kind.IN_PLACE, active, (note, stays))


def _rebuild_asked(new: SemanticSearchIndex, current: SemanticSearchIndex, now: datetime) -> str:
    """The time of the full rebuild that this very change asks for; empty when it asks for none."""
    asked = requested_at(new)
    if new.spec.refresh.mode != "Full" or asked is None or asked > now or asked == requested_at(current):
        return ""
    return rfc3339(asked)


def _held(new: SemanticSearchIndex, current: SemanticSearchIndex) -> Mapping[str, Any]:
    """The release of the status that the new spec asks for, full rebuilds of the same content included."""
    for release in _releases(current):
        if release["name"] == desired_release(new.spec, release.get("rebuild") or ""):
            return release
    return {}


def _releases(index: SemanticSearchIndex | None) -> Sequence[Mapping[str, Any]]:
    return [release for release in index.status.get("releases", ()) if "name" in release] if index else []


def _told(
    new: SemanticSearchIndex,
    current: SemanticSearchIndex | None,
    aim: _Aim,
    active: str,
    found: tuple[Change, ...],
    refused: tuple[str, ...],
    now: datetime,
) -> Forecast:
    kind = Kind.REFUSED if refused else aim.kind
    told = {str(release["name"]): release for release in _releases(current)}
    green = told.get(aim.release, {}).get("fingerprint") or encoder_identity(new.spec).fingerprint()
    blue = ""
    if current and active:
        blue = told.get(active, {}).get("fingerprint") or encoder_identity(current.spec).fingerprint()
    held = {active: blue, aim.release: green} if kind in SWITCHES else {}
    held |= {n: r["fingerprint"] for n, r in told.items() if held and r.get("role") == "Previous"}
    allowed = _allowed(new, now)
    lines, sizes = _fleets(
        new, {name: fingerprint for name, fingerprint in held.items() if fingerprint}, allowed
    )
    own = sizes.get(green) if blue not in ("", green) else None
    rows = told.get(active, {}).get("rows")
    return Forecast(
        name=new.name,
        namespace=new.namespace,
        kind=kind,
        active=active,
        wanted=aim.release,
        same_vectors=blue == green,
        changes=found,
        refusals=refused,
        notes=(*aim.notes, *_notes(new, current, kind)),
        fleets=lines,
        shortages=tuple(s.message for s in room(new.spec, Capacity(), Need(0, 0), own, allowed)),
        memory=_memory(new, rows) if rows and kind in BUILDS else "",
        rerankers=_rerankers(new),
        bill=bill(new.spec, new.spec.encoder.autoscaling.min_replicas, now),
        bill_during=bill(new.spec, sum(fleet.minimum for fleet in sizes.values()), now) if own else None,
    )


def _allowed(new: SemanticSearchIndex, now: datetime) -> int:
    """Encoders that the cap allows who begins a month of this length with nothing spent."""
    scaling = new.spec.encoder.autoscaling
    money = bill(new.spec, scaling.min_replicas, now)
    return money.allowed_max if money else scaling.max_replicas


def _fleets(
    new: SemanticSearchIndex, held: Mapping[str, str], allowed: int
) -> tuple[tuple[FleetLine, ...], Mapping[str, Fleet]]:
    """One line for each fleet, by the releases that share it; and each fingerprint's fleet."""
    sizes = fleets(new.spec, list(held.values()), allowed)
    lines = []
    for fingerprint, fleet in sizes.items():
        names = ", ".join(name for name, owned in held.items() if owned == fingerprint)
        lines.append(FleetLine(names, fleet.minimum, fleet.maximum))
    return tuple(lines), sizes


def _memory(new: SemanticSearchIndex, rows: int) -> str:
    milvus = new.spec.vector_store.milvus
    dimension = encoder_identity(new.spec).dimension
    return binary_size(collection_bytes(rows, dimension, milvus.index.m, milvus.replicas))


def _rerankers(new: SemanticSearchIndex) -> str:
    reranker = reranker_of(new)
    if reranker is None:
        return ""
    devices = devices_of(new, reranker)
    on = f"{devices} x {new.spec.encoder.accelerator.resource} each" if devices else "on CPU"
    return f"{reranker.replicas}, {on}, which the bill counts as encoders; queries wait {reranker.timeout} for them"


def _notes(new: SemanticSearchIndex, current: SemanticSearchIndex | None, kind: Kind) -> tuple[str, ...]:
    notes = []
    if money := current.status.get("cost") if current else None:
        notes.append(
            f"{money.get('month')} so far: {money.get('spent')} of {money.get('cap')} {money.get('currency')} spent, "
            f"{money.get('projected')} projected; the guard allows {money.get('allowedMax')} encoders"
        )
    if new.spec.paused and kind not in (Kind.NOTHING, Kind.REFUSED):
        notes.append("spec.paused is true: none of this happens before it is false")
    return tuple(notes)
