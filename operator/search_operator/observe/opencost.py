"""What OpenCost says the month has cost: asked at most hourly and beside the pass, which never waits for it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from search_operator.api.cost import Cost, OpenCost
from search_operator.api.index import SemanticSearchIndex
from search_operator.money.ledger import Ledger
from search_operator.money.months import HOUR, milliseconds, moment_of
from search_operator.money.reconciliation import RECOVERED, SHARED, Span, span_of
from search_operator.money.tariff import MICROS
from search_operator.observe.cache import IndexKey
from search_operator.observe.observation import OpenCostView, Problem
from search_operator.render.child import INDEX_LABEL

EVERY_SECONDS = 3600.0
# It computes a whole month out of Prometheus.
ANSWER_SECONDS = 60.0
MOST_BYTES = 16 * 1024 * 1024
FIELD = "spec.cost.openCost"
# As Prometheus writes label names, which every version of OpenCost takes.
_AGGREGATE = ",".join(
    ["namespace", *(f"label:{_l}" for _l in ("semanticsearch_io_index", "app_kubernetes_io_component"))]
)


class _Allocation(BaseModel):
    totalCost: Annotated[float | None, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]


class _Answer(BaseModel):
    code: int
    data: list[dict[str, _Allocation] | None]


class NoAccount(ValueError):
    """An answer that says nothing of the index; the message says why."""


def costs_in(answer: bytes, namespace: str, index: str) -> dict[str, int]:
    """Micro-units by component out of an answer of /allocation/compute. Raises NoAccount."""
    try:
        said = _Answer.model_validate_json(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise NoAccount(
            f"its answer is not that of OpenCost's allocation API ({where}: {first['msg']})"
        ) from error
    if said.code != 200:
        raise NoAccount(f"its answer has the code {said.code}")
    found: dict[str, int] = {}
    for key, allocation in ((k, a) for part in said.data for k, a in (part or {}).items()):
        owner, _, component = key.rpartition("/")
        if owner != f"{namespace}/{index}":
            continue
        if allocation.totalCost is None:
            raise NoAccount(f"it has no figure for {key}")
        found[component] = found.get(component, 0) + round(allocation.totalCost * MICROS)
    if not found.keys() & SHARED.keys():
        remedy = (
            f"it needs the pods' labels {INDEX_LABEL} and app.kubernetes.io/component as Prometheus metrics"
        )
        raise NoAccount(f"it knows no pods of index {index} in namespace {namespace}; {remedy}")
    return found


@dataclass
class _Asked:
    """The last question on an index, of `uid` by `spec`, and what came of it."""

    uid: str
    spec: OpenCost
    at: float
    view: OpenCostView = field(default_factory=OpenCostView)
    task: asyncio.Task[None] | None = None


@dataclass
class OpenCostReader:
    """Asks OpenCost for each index that names one. Only the event loop touches it."""

    http: aiohttp.ClientSession
    answer_seconds: float = ANSWER_SECONDS
    _asked: dict[IndexKey, _Asked] = field(default_factory=dict)

    def look(
        self, index: SemanticSearchIndex, ledger: Ledger | None, now: float | None = None
    ) -> OpenCostView:
        """What was answered last; asks anew in the background where an hour has passed. `now`: time.monotonic()."""
        key, cost = (index.namespace, index.name), index.spec.cost
        if cost is None or cost.open_cost is None or index.being_deleted:
            self.forget(key)
            return OpenCostView()
        if cost.open_cost.currency != cost.currency:
            return OpenCostView(problem=_other_currency(cost, cost.open_cost))
        now = time.monotonic() if now is None else now
        last = self._asked.get(key)
        if last and (last.uid, last.spec) != (index.uid, cost.open_cost):
            self.forget(key)
        elif last is None and _told_within_the_hour(index, ledger):
            return OpenCostView()
        if (last := self._asked.get(key)) and now - last.at < EVERY_SECONDS:
            return last.view
        return self._ask_anew(index, cost, ledger, now)

    def _ask_anew(
        self, index: SemanticSearchIndex, cost: Cost, ledger: Ledger | None, now: float
    ) -> OpenCostView:
        key = (index.namespace, index.name)
        last = self._asked.get(key)
        view = last.view if last else OpenCostView()
        if cost.open_cost is None or ledger is None or ledger.currency != cost.currency:
            return view
        since = milliseconds(index.created_at) if index.created_at else 0
        span = span_of(ledger, ZoneInfo(cost.time_zone), since)
        if span is None:
            return view
        account = ledger.month(span.month)
        if RECOVERED in account.items:
            message = f"the ledger of {span.month} was lost and taken over as one sum; compared again from next month on"
            return replace(view, problem=Problem("NotByItem", message, needs_a_person=False))
        asked = _Asked(index.uid, cost.open_cost, now, view)
        self._asked[key] = asked

        async def ask() -> None:
            said = await self._answer(index, asked.spec, span)
            if isinstance(said, Problem):
                asked.view = replace(asked.view, problem=said)
            else:
                asked.view = OpenCostView(account, span.until, said)

        asked.task = asyncio.create_task(ask())
        return view

    async def _answer(
        self, index: SemanticSearchIndex, spec: OpenCost, span: Span
    ) -> Mapping[str, int] | Problem:
        url = f"{spec.url.rstrip('/')}/allocation/compute"
        asked = {
            "window": f"{_rfc3339(span.start)},{_rfc3339(span.until)}",
            "aggregate": _AGGREGATE,
            "accumulate": "true",
            # Versions that know no filter answer for all namespaces.
            "filter": f'namespace:"{index.namespace}"',
        }
        timeout = aiohttp.ClientTimeout(total=self.answer_seconds)
        try:
            async with self.http.get(url, params=asked, timeout=timeout, allow_redirects=False) as answer:
                if answer.status != 200:
                    return _unreadable(spec, f"it answers with status {answer.status}")
                body = await _all_of(answer)
            return costs_in(body, index.namespace, index.name)
        except NoAccount as error:
            return _unreadable(spec, str(error))
        except TimeoutError:
            return _unreadable(spec, f"it does not answer within {self.answer_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unreadable(spec, f"it does not answer ({type(error).__name__})")

    def forget(self, key: IndexKey) -> None:
        """The index is gone, or asks no more."""
        last = self._asked.pop(key, None)
        if last and last.task:
            last.task.cancel()

    async def settled(self) -> None:
        """When all questions on their way are answered or given up."""
        await asyncio.gather(*(a.task for a in self._asked.values() if a.task), return_exceptions=True)

    def close(self) -> None:
        """Gives up what is on its way."""
        for key in list(self._asked):
            self.forget(key)


async def _all_of(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        found += chunk
        if len(found) > MOST_BYTES:
            raise NoAccount(f"its answer is larger than {MOST_BYTES // 2**20} MiB")
    return bytes(found)


def _told_within_the_hour(index: SemanticSearchIndex, ledger: Ledger | None) -> bool:
    """Whether the status has what another run of the operator was answered, and the ledger is hardly older."""
    told: Mapping[str, Any] = (index.status.get("cost") or {}).get("openCost") or {}
    try:
        until = milliseconds(datetime.fromisoformat(str(told["asOf"])))
    except (KeyError, ValueError, TypeError):
        return False
    return ledger is not None and 0 <= ledger.upto - until < HOUR


def _other_currency(cost: Cost, spec: OpenCost) -> Problem:
    message = f"{FIELD}.currency is {spec.currency}, but spec.cost.currency is {cost.currency}, and nothing is converted"
    return Problem("OtherCurrency", message)


def _unreadable(spec: OpenCost, why: str) -> Problem:
    message = f"{FIELD}.url {spec.url}: {why}; it is asked again within the hour, or when {FIELD} is changed"
    return Problem("OpenCostUnreadable", message, needs_a_person=False)


def _rfc3339(at: int) -> str:
    return moment_of(at // 1000 * 1000).strftime("%Y-%m-%dT%H:%M:%SZ")
