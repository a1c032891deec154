"""The story in one screen: observe, decide, act, report."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubernetes.aio.dynamic.exceptions import NotFoundError

from search_operator.act.execute import Actor, LostLeadership
from search_operator.act.tell import emit_events, write_status
from search_operator.api.index import InvalidResource, SemanticSearchIndex
from search_operator.api.values import duration_of
from search_operator.decide.plan import Installation, plan
from search_operator.decide.prewarm import prewarm
from search_operator.decide.refreshing import SETTLES_FOR
from search_operator.decide.rollout import Rollout, rollout
from search_operator.decide.scaling import scaler_awaited
from search_operator.decide.searching import policy_awaited
from search_operator.decide.spending import accounted
from search_operator.decide.status import status, unreadable_status
from search_operator.decide.steps import MILVUS_STEPS, Outcome, Plan, ReleaseFinalizer
from search_operator.observe.cache import Cache, IndexKey
from search_operator.observe.observation import Observation
from search_operator.observe.observer import Observer

log = logging.getLogger(__name__)

WHILE_WORKING_SECONDS = 2.0
# Gateways are asked, not watched: a switch waits for their word.
WHILE_SWITCHING_SECONDS = 0.5
# After a switch the answers are looked at this often.
WHILE_WATCHING_SECONDS = 10.0


class NotYet(Exception):
    """The index is not where it should be, for a reason that the status tells; it is tried again with back-off."""


@dataclass(frozen=True)
class Reconciler:
    """Brings one index at a time closer to what it declares."""

    cache: Cache
    observer: Observer
    actor: Actor
    installation: Installation
    resync_seconds: float
    told: Callable[[IndexKey, dict[str, Any]], None]

    async def reconcile(self, key: IndexKey) -> float | None:
        """One pass. Returns the seconds until the next one; raises NotYet when something is in the way."""
        body = self.cache.indexes.get(key)
        if body is None:
            self.observer.recent.forget(key)
            self.observer.open_cost.forget(key)
            return None
        try:
            index = SemanticSearchIndex.parse(body)
        except InvalidResource as error:
            await self._report(body, unreadable_status(body, str(error), datetime.now(UTC)))
            return self.resync_seconds
        observation, credentials = await self.observer.observe(index)
        observation = accounted(observation)
        todo = plan(observation, self.installation)
        for step in todo.steps:
            log.info("%s/%s: %s: %s", *key, type(step).__name__, step.reason)
        try:
            outcome = await self.actor.execute(todo, index, credentials)
        except LostLeadership:
            return None
        if any(isinstance(step, ReleaseFinalizer) for step in todo.steps) and not outcome.failures:
            return None
        self._hold_stores(key, observation, todo)
        await self._report(body, status(observation, outcome))
        return self._next(observation, todo, outcome)

    def _hold_stores(self, key: IndexKey, observation: Observation, todo: Plan) -> None:
        """While gateways are on their way nothing else is waited for, unless this pass changed something in Milvus."""
        if rollout(observation).announced and not any(isinstance(step, MILVUS_STEPS) for step in todo.steps):
            self.observer.recent.hold(key)
        else:
            self.observer.recent.forget(key)

    async def _report(self, body: dict[str, Any], said: dict[str, Any]) -> None:
        before = body.get("status") or {}
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        self.told(key, said)
        if said == before or not self.actor.leading():
            return
        try:
            self.cache.put_index(await write_status(self.actor.api, body, said))
        except NotFoundError:
            return
        await emit_events(self.actor.api, body, before, said)

    def _next(self, observation: Observation, todo: Plan, outcome: Outcome) -> float:
        if outcome.failures:
            raise NotYet(outcome.failures[0].message)
        if todo.steps:
            return 0.05
        if observation.index.being_deleted:
            raise NotYet("waiting to be able to delete")
        problem = observation.secret_problem or observation.milvus.problem or observation.catalogue.problem
        if problem:
            raise NotYet(problem.message)
        running = any(not job.finished_at for job in observation.jobs)
        now = rollout(observation)
        if now.announced or now.retiring:
            return WHILE_SWITCHING_SECONDS
        waits = policy_awaited(observation) or scaler_awaited(observation)
        if running or now.candidate or now.active is None or waits:
            return WHILE_WORKING_SECONDS
        return min(self.resync_seconds, until_next(observation, now))


def until_next(observation: Observation, now: Rollout) -> float:
    """Seconds until time alone changes something: a refresh after a rollback, the watch, a retention's end, a window."""
    waits = [float("inf")]
    if change := prewarm(observation).changes_at:
        waits.append((change - observation.now).total_seconds())
    active, kept = now.book.active, now.book.previous
    if active and active.since + SETTLES_FOR > observation.now:
        waits.append((active.since + SETTLES_FOR - observation.now).total_seconds())
    if active and kept:
        watched_until = active.since + duration_of(observation.index.spec.rollout.watch)
        if observation.now < watched_until:
            waits.append(WHILE_WATCHING_SECONDS)
        if kept.until and kept.until > observation.now:
            waits.append((kept.until - observation.now).total_seconds())
    return min(waits)
