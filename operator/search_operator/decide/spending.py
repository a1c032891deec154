"""What has been spent and what may be: from what is observed to the ledger, the guard's word and what gives way."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from search_operator.api.cost import Prices
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.spec import Spec
from search_operator.decide.cost import rerankers, tariff_of
from search_operator.decide.first_ledger import first_ledger, moment_told
from search_operator.decide.prewarm import early, leads_of, start_seconds, starts, windows_of
from search_operator.decide.scaling import live_autoscaler
from search_operator.money.account import Account
from search_operator.money.budget import (
    Fleet,
    Rest,
    Second,
    deferred,
    guarded,
    outlook,
    rest_of_month,
)
from search_operator.money.ledger import Ledger, Node, accrue
from search_operator.money.months import HOUR, bounds, milliseconds, moment_of, month_at
from search_operator.money.tariff import Tariff
from search_operator.money.windows import Opening, Window, openings
from search_operator.observe.observation import Observation, PodView
from search_operator.render.encoder import fleet_name

# A pod that is told to stop holds its node this long at most (terminationGracePeriodSeconds).
STOPS_WITHIN_MS = 30_000


@dataclass(frozen=True)
class _Books:
    """What the account is drawn up from."""

    observation: Observation
    tariff: Tariff
    nodes: tuple[Node, ...]

    @property
    def spec(self) -> Spec:
        return self.observation.index.spec

    @property
    def now(self) -> int:
        return milliseconds(self.observation.now)

    @cached_property
    def leads(self) -> dict[str, timedelta]:
        return leads_of(self.spec, start_seconds(starts(self.observation)))


def accounted(observation: Observation) -> Observation:
    """The observation with its account, with what the guard allows, and without a re-ranker that has to give way.

    Without prices there is no account. With prices that can't be read the guard's last word holds.
    """
    index = observation.index
    if index.being_deleted or index.spec.cost is None:
        return observation
    kept, tariff = observation.ledger, tariff_of(index.spec, prices_of(observation))
    if tariff is None:
        return _by_the_last_word(observation) if kept and observation.prices.problem else observation
    if index.spec.paused and kept is None:
        return observation
    created = milliseconds(index.created_at) if index.created_at else 0
    account = _account(_Books(observation, tariff, billed(observation.pods, created)), kept)
    found = replace(observation, account=account, allowed=account.allowed)
    return _given_up(found, account.ledger)


def _by_the_last_word(observation: Observation) -> Observation:
    kept, spec = observation.ledger, observation.index.spec
    if kept is None or kept.allowed is None or spec.cost is None or spec.cost.action != "Clamp":
        return observation
    scaling = spec.encoder.autoscaling
    # What was not declared for the first fleet was for those beside it.
    beside = scaling.max_replicas - min(scaling.max_replicas, kept.declared or scaling.max_replicas)
    return _given_up(replace(observation, allowed=max(scaling.min_replicas, kept.allowed) + beside), kept)


def _given_up(observation: Observation, ledger: Ledger) -> Observation:
    """What the guard has given up is as if it were not asked for: gateways are told, and the re-ranker's pods go."""
    off = "Reranker" in ledger.deferred
    index = _without_reranker(observation.index) if off else observation.index
    return replace(observation, deferred=ledger.deferred, index=index)


def prices_of(observation: Observation) -> Prices | None:
    """The prices in force: those of the ConfigMap, else those of the resource."""
    cost = observation.index.spec.cost
    if cost is None:
        return None
    return observation.prices.prices if cost.prices_config_map_ref else cost.prices


def billed(pods: Iterable[PodView], since: int = 0) -> tuple[Node, ...]:
    """The nodes that are paid for: each pod with a device, from when it was scheduled until its containers ended.

    None before `since`, the index's creation: pods of one of the same name that was deleted may still be ending.
    """
    return tuple(
        Node(
            pod.uid,
            "encoder" if pod.component == "encoder" else "reranker",
            max(start, since),
            moment_told(pod.ended),
        )
        for pod in pods
        if pod.component in ("encoder", "reranker")
        and pod.uid
        and (start := moment_told(pod.scheduled)) is not None
    )


def _account(books: _Books, kept: Ledger | None) -> Account:
    """As the kept ledger has it, unless there is a reason to write a new one."""
    spec = books.spec
    of_currency = kept if kept and kept.currency == books.tariff.currency else None
    before = of_currency or first_ledger(books.observation, books.tariff, books.nodes)
    accrued = accrue(before, books.nodes, books.tariff, books.now, _gone_by(books.observation, before.upto))
    told = accrued.model_copy(update={"prices": _digest(books.tariff)})
    if accrued.prices != told.prices:
        # Another cap or price is answered at once.
        told = told.model_copy(update={"allowed": None, "deferred": (), "deferred_since": 0})
    fleet, seconds = _fleets(books, told)
    if spec.cost and spec.cost.action == "Clamp":
        declared = replace(_rest(books, told, seconds), rerankers=rerankers(spec))
        told = deferred(told, declared, fleet, _demand(books, fleet), rebuilds=spec.refresh.mode == "Full")
        told = guarded(told, _rest(books, told, seconds), fleet)
    else:
        told = told.model_copy(update={"allowed": None, "declared": None, "deferred": ()})
    due = "" if spec.paused else _why_due(of_currency, told, books.tariff.zone)
    if not due and of_currency:
        told = of_currency
    rest = _rest(books, told, seconds)
    return Account(
        ledger=told,
        tariff=books.tariff,
        rest=rest,
        fleet=fleet,
        outlook=outlook(rest, fleet),
        lowest=outlook(rest, replace(fleet, running=fleet.minimum)),
        due=due,
        beside=sum(second.encoders for second in seconds),
    )


def _gone_by(observation: Observation, upto: int) -> int | None:
    """When pods that are not seen any more had stopped: soon after the last scaling, if that is since the last look."""
    times = [
        moment
        for (kind, _), live in observation.children.items()
        if kind == "HorizontalPodAutoscaler"
        and (moment := moment_told(live.get("status", {}).get("lastScaleTime"))) is not None
    ]
    last = max(times, default=0)
    return last + STOPS_WITHIN_MS if last > upto else None


def _fleets(books: _Books, ledger: Ledger) -> tuple[Fleet, tuple[Second, ...]]:
    """The active fleet and those beside it, each of these as large as there is money for beside the fewest of the first."""
    observation, scaling = books.observation, books.spec.encoder.autoscaling
    ends = _ends(books)
    active = Fleet(_running(observation), scaling.min_replicas, scaling.max_replicas)
    for share in range(scaling.min_replicas if ends else 0, -1, -1):
        fleet = replace(active, maximum=scaling.max_replicas - share * len(ends))
        seconds = tuple(Second(share, until) for until in ends)
        lowest = replace(fleet, running=fleet.minimum)
        if share == 0 or (
            fleet.maximum >= fleet.minimum
            and outlook(_rest(books, ledger, seconds), lowest).projected <= books.tariff.cap
        ):
            return fleet, tuple(second for second in seconds if second.encoders)
    return active, ()


def _ends(books: _Books) -> list[int]:
    """Until when each fleet beside the first one is paid, of those that are there.

    Nobody knows how long a candidate takes and what it replaces is kept: until the month's end.
    """
    observation, book = books.observation, books.observation.book
    month_end = bounds(month_at(books.now, books.tariff.zone), books.tariff.zone)[1]
    first = book.active or book.candidate
    ends: dict[str, int] = {}
    for held in (book.candidate, book.previous):
        fingerprint = held.record.encoder.fingerprint() if held else ""
        if held is None or first is None or fingerprint == first.record.encoder.fingerprint():
            continue
        if observation.child("Deployment", fleet_name(observation.index.name, fingerprint)):
            until = milliseconds(held.until) if held is book.previous and held.until else month_end
            ends[fingerprint] = max(until, ends.get(fingerprint, 0))
    return list(ends.values())


def _first_fleet(observation: Observation) -> str:
    """Name of the Deployment of the fleet that is autoscaled; empty when there is none."""
    held = observation.book.active or observation.book.candidate
    return fleet_name(observation.index.name, held.record.encoder.fingerprint()) if held else ""


def _running(observation: Observation) -> int:
    """Encoders of the active fleet that hold a node; at least the fewest, which are on their way."""
    name = _first_fleet(observation)
    placed = sum(
        pod.component == "encoder"
        and bool(pod.scheduled)
        and not pod.ended
        and pod.name.startswith(f"{name}-")
        for pod in observation.pods
    )
    return max(observation.index.spec.encoder.autoscaling.min_replicas, placed)


def _demand(books: _Books, fleet: Fleet) -> int:
    """Encoders that the load asks for: those that run, and one more where the autoscaler is held by its maximum."""
    autoscaler = live_autoscaler(books.observation.children, _first_fleet(books.observation)) or {}
    held_back = any(
        (c.get("type"), c.get("status"), c.get("reason")) == ("ScalingLimited", "True", "TooManyReplicas")
        for c in autoscaler.get("status", {}).get("conditions") or ()
    )
    return min(fleet.running + held_back, max(fleet.maximum, fleet.running))


def _rest(books: _Books, ledger: Ledger, seconds: Sequence[Second]) -> Rest:
    given_up = "Reranker" in ledger.deferred
    return rest_of_month(
        ledger,
        books.tariff,
        ledger.upto,
        _openings(books, ledger.upto),
        seconds,
        rerankers=0 if given_up else rerankers(books.spec),
    )


def _openings(books: _Books, at: int) -> tuple[Opening, ...]:
    end = bounds(month_at(at, books.tariff.zone), books.tariff.zone)[1]
    return _early(windows_of(books.spec), tuple(books.leads.items()), at, end)


# A pass draws up several rests of one month, and cron expressions are not cheap to follow through it.
@lru_cache(maxsize=8)
def _early(
    windows: tuple[Window, ...], leads: tuple[tuple[str, timedelta], ...], at: int, end: int
) -> tuple[Opening, ...]:
    """The openings from when on encoders run for them, also of a window that opens soon after the end."""
    until = moment_of(end) + max((lead for _, lead in leads), default=timedelta())
    return early(openings(windows, moment_of(at), until), dict(leads))


def _why_due(kept: Ledger | None, told: Ledger, zone: ZoneInfo) -> str:
    """Why the ledger is to be written now; empty when the kept one says all."""
    if kept is None:
        return "there is no ledger in this currency"
    if kept.running != told.running:
        return "encoders or re-rankers have come or gone"
    if kept.allowed != told.allowed:
        return f"the guard allows {told.allowed} encoders, not {kept.allowed}"
    if kept.deferred != told.deferred:
        return f"deferred: {', '.join(told.deferred) or 'nothing'}"
    if kept.declared != told.declared:
        return "another maximum is declared"
    if month_at(kept.upto, zone) != month_at(told.upto, zone):
        return "a month begins"
    if kept.prices != told.prices:
        return "prices have changed"
    return "an hour has passed" if told.upto - kept.upto >= HOUR else ""


def _digest(tariff: Tariff) -> str:
    fields = [tariff.encoder_hour, tariff.reranker_hour, tariff.reserved, tariff.cap, tariff.zone.key]
    told = [*fields, dict(tariff.hourly), dict(tariff.monthly)]
    # Not orjson, which refuses what is above 64 bits.
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_reranker(index: SemanticSearchIndex) -> SemanticSearchIndex:
    reranker = index.spec.search.reranker
    if reranker is None:
        return index
    off = reranker.model_copy(update={"enabled": False})
    search = index.spec.search.model_copy(update={"reranker": off})
    return replace(index, spec=index.spec.model_copy(update={"search": search}))
