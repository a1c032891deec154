"""Executes a plan's steps in their order; a step that fails does not hide the others' outcome."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import aiohttp
from kubernetes.aio.dynamic.exceptions import ConflictError, DynamicApiError, NotFoundError

from search_operator.act.milvus import act_on_milvus
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.steps import (
    FINALIZER,
    AddFinalizer,
    ApplyObject,
    CreateCollection,
    DeleteObject,
    Failure,
    NameTaken,
    NudgeGateway,
    Outcome,
    Plan,
    ReleaseFinalizer,
    Step,
)
from search_operator.kubernetes_api import INDEX, OPTIONAL_KINDS, POD, KubernetesApi, Object, kind_named
from search_operator.milvus_api import MilvusPool, MilvusUnavailable
from search_operator.observe.cache import Cache
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.observer import snapshot_in
from search_operator.render.child import INDEX_LABEL, POINTER_ANNOTATION
from search_operator.render.gateway import active_name

API_ERRORS = (DynamicApiError, aiohttp.ClientError, TimeoutError)


class Unsettled(Exception):
    """An apply that changed nothing: our reading of the object and the API server's disagree."""


# What follows one of these leans on it: nothing is made without our finalizer on the index, and a stale build must
# be gone before its collection comes back.
LEANED_ON = (AddFinalizer, DeleteObject, CreateCollection)
# Steps of these kinds don't lean on each other.
SIDE_BY_SIDE = (ApplyObject, NudgeGateway)
AT_ONCE = 4


class LostLeadership(Exception):
    """Another replica may lead by now: nothing more is written."""


@dataclass(frozen=True)
class Actor:
    """The only hands of the operator. `leading` is asked before each step."""

    api: KubernetesApi
    milvus: MilvusPool
    cache: Cache
    leading: Callable[[], bool]

    async def execute(self, plan: Plan, index: SemanticSearchIndex, credentials: StoreCredentials) -> Outcome:
        """Take the steps; raises LostLeadership between two of them."""
        done, failures = 0, []
        for steps in _together(plan.steps):
            results = await asyncio.gather(*(self._try(step, index, credentials) for step in steps))
            found = [failure for failure in results if failure]
            done += len(steps) - len(found)
            failures += found
            if found and isinstance(steps[0], LEANED_ON):
                break
        return Outcome(done, tuple(failures))

    async def _try(
        self, step: Step, index: SemanticSearchIndex, credentials: StoreCredentials
    ) -> Failure | None:
        if not self.leading():
            raise LostLeadership
        if isinstance(step, NameTaken):
            message = f"{step.target} is there and does not belong to this index; rename or remove it"
            return Failure(step, "NameTaken", message, needs_a_person=True)
        try:
            await self._take(step, index, credentials)
        except MilvusUnavailable as error:
            return Failure(step, error.reason, str(error), error.needs_a_person)
        except Unsettled as error:
            return Failure(step, "Unsettled", str(error), needs_a_person=False)
        except API_ERRORS as error:
            return _api_failure(step, error)
        return None

    async def _take(self, step: Step, index: SemanticSearchIndex, credentials: StoreCredentials) -> None:
        match step:
            case AddFinalizer():
                await self._set_finalizers(index, (*index.finalizers, FINALIZER))
            case ReleaseFinalizer():
                await self._set_finalizers(index, tuple(f for f in index.finalizers if f != FINALIZER))
            case ApplyObject(body=body):
                await self._apply(body)
            case DeleteObject(kind=kind, name=name, uid=uid):
                await self._delete(index, kind, name, uid)
            case NudgeGateway(pod=pod, revision=revision):
                await self._nudge(index.namespace, pod, revision)
            case _:
                await act_on_milvus(self.milvus, index, credentials, step, self._queried(index))

    async def _apply(self, body: Object) -> None:
        kept = self.cache.children((body["metadata"]["namespace"], _index_name(body)))
        before = kept.get((body["kind"], body["metadata"]["name"]))
        after = await self.api.apply(body)
        self.cache.put(after)
        if before and before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]:
            raise Unsettled(
                f"applying {body['kind']} {body['metadata']['name']} changes nothing, yet it seems to differ"
            )

    async def _delete(self, index: SemanticSearchIndex, kind: str, name: str, uid: str) -> None:
        await self.api.delete(kind_named(kind), index.namespace, name, uid)
        gone = self.cache.children((index.namespace, index.name)).get((kind, name))
        # No watch would tell of it.
        if gone and kind_named(kind) in OPTIONAL_KINDS:
            self.cache.drop(gone)

    async def _nudge(self, namespace: str, pod: str, revision: str) -> None:
        patch = {"metadata": {"annotations": {POINTER_ANNOTATION: revision}}}
        try:
            self.cache.put(await self.api.merge(POD, namespace, pod, patch))
        except NotFoundError:
            # It is gone since it was seen, and whoever takes its place reads the new pointer as it starts.
            return

    def _queried(self, index: SemanticSearchIndex) -> str:
        """The collection that gateways are told to query, by the pointer as it is now; empty for none."""
        children = self.cache.children((index.namespace, index.name))
        snapshot = snapshot_in(children.get(("ConfigMap", active_name(index.name))))
        return snapshot.milvus.collection if snapshot and not index.being_deleted else ""

    async def _set_finalizers(self, index: SemanticSearchIndex, finalizers: tuple[str, ...]) -> None:
        # A merge patch with the resourceVersion: an apply would bring a deleted index back to life.
        meta = {"resourceVersion": index.resource_version, "finalizers": list(finalizers) or None}
        body = await self.api.merge(INDEX, index.namespace, index.name, {"metadata": meta})
        if finalizers:
            self.cache.put_index(body)
        else:
            self.cache.drop_index((index.namespace, index.name))


def _together(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Steps in their order; neighbours of a kind that don't lean on each other, a few at a time."""
    for kind, run in groupby(steps, key=type):
        yield from batched(run, AT_ONCE if kind in SIDE_BY_SIDE else 1)


def batched(steps: Iterable[Step], size: int) -> Iterator[tuple[Step, ...]]:
    """Tuples of at most `size` steps (itertools.batched is younger than this Python)."""
    source = iter(steps)
    while batch := tuple(islice(source, size)):
        yield batch


def _index_name(body: Object) -> str:
    return str(body["metadata"]["labels"][INDEX_LABEL])


def _api_failure(step: Step, error: Exception) -> Failure:
    what = step.target if isinstance(step, ApplyObject) else type(step).__name__
    if isinstance(error, ConflictError):
        return Failure(step, "Conflict", f"{what}: changed meanwhile, tried again", needs_a_person=False)
    if isinstance(error, DynamicApiError):
        refused = error.status in (400, 403, 422)
        reason = {403: "Forbidden", 422: "Invalid", 400: "Invalid"}.get(error.status, "ApiError")
        return Failure(
            step, reason, f"{what}: the API server says: {error.summary()}"[:1000], needs_a_person=refused
        )
    return Failure(step, "ApiUnreachable", f"{what}: {type(error).__name__}: {error}", needs_a_person=False)
