"""A world in memory that plans act on: children, collections, jobs, and the troubles that befall them.

It is a fake of the API server and of Milvus as far as a plan can see them, so that thousands of histories take
seconds. Each step is checked against what is true in the world, not against what was observed.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from search_operator.act.execute import LEANED_ON
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.status import ConditionType
from search_operator.decide.plan import plan
from search_operator.decide.status import rfc3339, status
from search_operator.decide.steps import (
    FINALIZER,
    AddFinalizer,
    ApplyObject,
    CreateCollection,
    CreateIndex,
    DeleteObject,
    DropAlias,
    DropCollection,
    Failure,
    LoadCollection,
    Outcome,
    Plan,
    PointAlias,
    ReleaseFinalizer,
    Step,
)
from search_operator.observe.observation import (
    CatalogueView,
    CollectionView,
    JobView,
    MilvusView,
    Observation,
    Problem,
)
from search_operator.observe.observer import snapshot_in
from search_operator.observe.workloads import job_view, pod_view
from search_plane.release.record import ReleaseRecord

from tests.unit.operator_core.builders import INSTALLATION, START, Object, report, sample

AWAY = Problem("Unreachable", "Milvus does not answer; check its pods", needs_a_person=False)
NO_CATALOGUE = Problem("Unreachable", "Elasticsearch does not answer", needs_a_person=False)
EMPTY = Problem("CatalogueEmpty", "index products holds no document; load the catalogue")
POINTER = ("ConfigMap", "products-active")


class StepFailed(Exception):
    """The world refuses a step, as a server would."""

    def __init__(self, reason: str, *, needs_a_person: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.needs_a_person = needs_a_person


@dataclass
class Collection:
    """What is true of one collection. `built`: a build ended with equal ID sets in this very collection."""

    record: ReleaseRecord
    indexed: bool = False
    finished: bool = False
    load: str = "NotLoad"
    replicas: int = 0
    rows: int = 0
    built: bool = False
    was_active: bool = False


@dataclass
class World:
    """All that one index can see and change."""

    body: Object = field(default_factory=lambda: fresh_index())
    now: datetime = START
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    alias: str = ""
    documents: int = 2000
    milvus_problem: Problem | None = None
    catalogue_problem: Problem | None = None
    replicas_readable: bool = True
    failing: frozenset[str] = frozenset()
    gone: bool = False
    serial: int = 0
    last_steps: tuple[Step, ...] = ()
    """Steps of the newest plan."""

    # --- what an observer sees -------------------------------------------------------------------------------

    def observe(self) -> Observation:
        """The world as the operator sees it now."""
        children = copy.deepcopy(self.children)
        pods = tuple(pod_view(p) for p in self.pods.values())
        return Observation(
            now=self.now,
            index=SemanticSearchIndex.parse(copy.deepcopy(self.body)),
            children=children,
            pods=pods,
            jobs=tuple(self._jobs(pods)),
            snapshot=snapshot_in(children.get(POINTER)),
            milvus=MilvusView(problem=self.milvus_problem)
            if self.milvus_problem
            else MilvusView(
                collections=tuple(self._view(n, c) for n, c in sorted(self.collections.items())),
                alias_target=self.alias,
            ),
            catalogue=CatalogueView(problem=self.catalogue_problem, documents=self.documents),
        )

    def _jobs(self, pods: tuple[Any, ...]) -> list[JobView]:
        return [job_view(o, pods, None) for (kind, _), o in sorted(self.children.items()) if kind == "Job"]

    def _view(self, name: str, c: Collection) -> CollectionView:
        loaded = c.load == "Loaded"
        return CollectionView(
            name=name,
            record=c.record,
            indexed=c.indexed,
            index_finished=c.finished,
            pending_rows=0 if c.finished else c.rows,
            loaded=loaded,
            loading=c.load == "Loading",
            replicas=c.replicas if loaded and self.replicas_readable else 0,
            rows=c.rows if loaded else None,
        )

    @property
    def pointed_at(self) -> str:
        """The collection that gateways query, by the pointer; empty when none."""
        snapshot = snapshot_in(self.children.get(POINTER))
        return snapshot.milvus.collection if snapshot else ""

    # --- one pass of the operator ----------------------------------------------------------------------------

    def reconcile(self, crash_after: int | None = None) -> Plan:
        """Observe, plan, act, report; with `crash_after`, only so many steps happen and nothing is reported."""
        if self.gone:
            return Plan()
        observation = self.observe()
        todo = plan(observation, INSTALLATION)
        self.last_steps = todo.steps
        done, failures = 0, []
        for step in todo.steps:
            if done == crash_after:
                break
            try:
                self.take(step)
                done += 1
            except StepFailed as error:
                failures.append(Failure(step, error.reason, str(error), error.needs_a_person))
                if isinstance(step, LEANED_ON):
                    break
        self.failing = frozenset()
        if crash_after is None and not self.gone:
            self._report(observation, Outcome(done, tuple(failures)))
        return todo

    def _report(self, observation: Observation, outcome: Outcome) -> None:
        said = status(observation, outcome)
        check_status(self.body, said)
        self.body["status"] = said
        again = status(
            Observation(**{**vars(observation), "index": SemanticSearchIndex.parse(self.body)}), outcome
        )
        assert again == said, "status() is not idempotent"

    def take(self, step: Step) -> None:
        """Take a step, or raise StepFailed; an AssertionError when it breaks a promise."""
        finalizers = self.body["metadata"].setdefault("finalizers", [])
        assert isinstance(step, AddFinalizer) or FINALIZER in finalizers, f"{step} before our finalizer"
        if type(step).__name__ in self.failing:
            raise StepFailed("ApiError")
        match step:
            case AddFinalizer():
                assert "deletionTimestamp" not in self.body["metadata"]
                finalizers.append(FINALIZER)
            case ReleaseFinalizer():
                finalizers.remove(FINALIZER)
                self.gone = True
                self.children.clear()
                self.pods.clear()
            case ApplyObject(body=body):
                self._apply(body)
            case DeleteObject(kind=kind, name=name, uid=uid):
                live = self.children.get((kind, name))
                if live and live["metadata"]["uid"] == uid:
                    self.delete_child((kind, name))
            case _:
                self._milvus(step)

    def _apply(self, wish: Object) -> None:
        key = (wish["kind"], wish["metadata"]["name"])
        assert "deletionTimestamp" not in self.body["metadata"], f"{key} is applied for a deleted index"
        live = self.children.get(key) or self._new(wish)
        self.children[key] = _merge(live, wish)
        if key == POINTER and self.pointed_at:
            target = self.collections.get(self.pointed_at)
            if target is None:
                # It may keep naming what has vanished until that is confirmed, but must not be moved to it.
                assert live.get("data") == wish["data"], (
                    "the pointer is moved to a collection that is not there"
                )
                return
            if not target.was_active:
                ready = target.built and target.load == "Loaded" and target.finished
                assert ready, f"gates not passed: {target}"
                assert target.replicas == self._wanted_replicas(), f"too few replicas: {target}"
            target.was_active = True

    def _new(self, wish: Object) -> Object:
        self.serial += 1
        meta = {"uid": f"uid-{self.serial}", "creationTimestamp": rfc3339(self.now)}
        return {"metadata": meta, "status": {}}

    def _wanted_replicas(self) -> int:
        return int(self.body["spec"]["vectorStore"]["milvus"].get("replicas", 2))

    def _milvus(self, step: Step) -> None:
        if self.milvus_problem:
            raise StepFailed(self.milvus_problem.reason)
        deleting = "deletionTimestamp" in self.body["metadata"]
        match step:
            case CreateCollection(collection=name, record=record):
                assert name not in (self.pointed_at, self.alias), "an empty collection where queries look"
                if name in self.collections:
                    raise StepFailed("Refused")
                self.collections[name] = Collection(record, indexed=True, finished=True)
            case CreateIndex(collection=name):
                self.collections[name].indexed = True
            case LoadCollection(collection=name, replicas=replicas, release_first=first):
                found = self.collections[name]
                assert not (first and name == self.pointed_at), "the collection is released under its queries"
                assert found.indexed, "loaded without an index"
                if found.load != "NotLoad" and not first:
                    raise StepFailed("Refused")
                found.load, found.replicas = "Loading", replicas
            case PointAlias(collection=name):
                assert self.collections[name].was_active, "the alias names what was never active"
                self.alias = name
            case DropAlias():
                assert deleting or self.alias not in self.collections, "the alias is taken from live data"
                self.alias = ""
            case DropCollection(collection=name):
                assert deleting or name not in (self.pointed_at, self.alias), (
                    "an active collection is dropped"
                )
                if name == self.alias:
                    raise StepFailed("DropRefused", needs_a_person=True)
                del self.collections[name]

    # --- what happens by itself ------------------------------------------------------------------------------

    def tick(self, seconds: float = 5) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    def ready_pods(self, component: str, share: float = 1.0) -> None:
        """The Deployment of a component gets its pods: all that are wanted, or a share of them."""
        spec = SemanticSearchIndex.parse(self.body).spec
        for (kind, name), live in self.children.items():
            if kind == "Deployment" and f"-{component}" in name:
                minimum = spec.encoder.autoscaling.min_replicas
                wanted = spec.search.replicas if component == "gateway" else minimum
                live["spec"]["replicas"] = wanted
                live["status"] = {"readyReplicas": int(wanted * share)}

    def load(self) -> None:
        """Milvus ends its loads and its indexes."""
        for found in self.collections.values():
            found.finished = found.indexed
            if found.load == "Loading":
                found.load = "Loaded"

    def build(self) -> None:
        """A running build ends well, if it finds all that it needs."""
        for (kind, name), job in list(self.children.items()):
            release = job["metadata"].get("labels", {}).get("semanticsearch.io/release")
            found = next((c for c in self.collections.values() if c.record.release == release), None)
            done = job["status"].get("conditions")
            if kind != "Job" or done or found is None or found.load != "Loaded":
                continue
            if self.milvus_problem or self.catalogue_problem or not self._encoders():
                continue
            found.rows, found.built = self.documents, True
            job["status"] = {
                "startTime": rfc3339(self.now),
                "conditions": [
                    {"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(self.now)}
                ],
            }
            message = report(str(release), self.documents, finished_at=self.now).to_termination_message()
            self.pods[f"{name}-x"] = _finished_pod(name, message, rfc3339(self.now))

    def _encoders(self) -> int:
        live = [o for (k, n), o in self.children.items() if k == "Deployment" and "-encoder" in n]
        return sum(o["status"].get("readyReplicas", 0) for o in live)

    def refresh(self) -> None:
        """The catalogue grows, and the refresh brings the active collection up to it."""
        self.documents += 3
        if found := self.collections.get(self.pointed_at):
            found.rows = self.documents

    def drop_collections(self) -> None:
        """Somebody drops every collection by hand; a dangling alias stays behind, as old servers have it."""
        self.collections.clear()

    def unload(self) -> None:
        """Milvus restarts with nothing in memory."""
        for found in self.collections.values():
            found.load, found.replicas = "NotLoad", 0

    def reload_by_hand(self) -> None:
        """Somebody loads what nobody queries yet with a replica too many."""
        for found in self.collections.values():
            if found.load == "Loaded" and not found.was_active:
                found.replicas = self._wanted_replicas() + 1

    def delete_child(self, key: tuple[str, str]) -> None:
        """A child vanishes, and with a Job its pods."""
        self.children.pop(key, None)
        if key[0] == "Job":
            self.pods.pop(f"{key[1]}-x", None)

    def delete_any_child(self, number: int) -> None:
        """Somebody deletes the n-th child by hand."""
        if self.children:
            self.delete_child(sorted(self.children)[number % len(self.children)])

    def edit_any_child(self, number: int) -> None:
        """Somebody edits the labels of the n-th child by hand."""
        if self.children:
            key = sorted(self.children)[number % len(self.children)]
            self.children[key]["metadata"]["labels"]["app.kubernetes.io/part-of"] = "mine"

    def set_spec(self, **changes: Any) -> None:
        """A person edits the spec."""
        if any(self.body["spec"].get(key) != value for key, value in changes.items()):
            self.body["spec"] |= changes
            self.body["metadata"]["generation"] += 1

    def delete_index(self) -> None:
        """A person deletes the index."""
        self.body["metadata"].setdefault("deletionTimestamp", rfc3339(self.now))
        if not self.body["metadata"].get("finalizers"):
            self.gone = True

    def heal(self) -> None:
        """Every outer trouble goes away."""
        self.milvus_problem = self.catalogue_problem = None
        self.replicas_readable = True
        self.failing = frozenset()
        if self.body["spec"].get("paused"):
            self.set_spec(paused=False)

    def progress(self) -> None:
        """Everything that can get ready does, and some seconds pass."""
        self.ready_pods("encoder")
        self.load()
        self.build()
        self.ready_pods("gateway")
        self.tick()

    def settle(self, rounds: int = 80) -> int:
        """Heal, then pass after pass until one plans nothing and says nothing new; returns how many it took."""
        self.heal()
        for number in range(rounds):
            before = copy.deepcopy(self.body.get("status"))
            todo = self.reconcile()
            if self.gone or (not todo.steps and before == self.body["status"] and self.serving):
                return number
            self.progress()
        raise AssertionError(f"no rest after {rounds} passes: {todo.steps} {self.body['status']}")

    @property
    def serving(self) -> bool:
        """Whether the status says Ready."""
        told = self.body.get("status", {}).get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in told)


def fresh_index(name: str = "products", **spec: Any) -> Object:
    """A sample as a person has just applied it: no finalizer, no status."""
    body = sample(name, **spec)
    del body["metadata"]["finalizers"]
    return body


def check_status(body: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """What holds for every status: all conditions, the generation, and times that move only with the status."""
    generation = body["metadata"]["generation"]
    deleting = "deletionTimestamp" in body["metadata"]
    types = [c["type"] for c in said["conditions"]]
    assert len(types) == len(set(types))
    if not deleting:
        assert set(types) == set(get_args(ConditionType))
        assert all(c["observedGeneration"] == generation for c in said["conditions"])
    assert said["observedGeneration"] == generation
    old = {c["type"]: c for c in (body.get("status") or {}).get("conditions", ())}
    for told in said["conditions"]:
        if (before := old.get(told["type"])) is not None:
            moved = before["lastTransitionTime"] != told["lastTransitionTime"]
            assert not moved or before["status"] != told["status"], f"the time moved alone: {before} {told}"
    held = {c["type"] for c in said["conditions"] if c["status"] == "True"}
    assert not {"Reconciling", "Stalled"} <= held, "kstatus: in progress and failed at once"
    assert not {"Ready", "Reconciling"} <= held, "ready, yet under way"


def _merge(live: Any, wish: Any) -> Any:
    """Server-side apply as far as it matters here: maps are merged, everything else is taken over."""
    if isinstance(live, Mapping) and isinstance(wish, Mapping):
        return {**live, **{k: _merge(live.get(k), v) for k, v in wish.items()}}
    return copy.deepcopy(wish)


def _finished_pod(job: str, message: str, finished: str) -> Object:
    return {
        "metadata": {
            "name": f"{job}-x",
            "labels": {"app.kubernetes.io/component": "build", "batch.kubernetes.io/job-name": job},
        },
        "status": {
            "phase": "Succeeded",
            "containerStatuses": [
                {"name": "build", "state": {"terminated": {"message": message, "finishedAt": finished}}}
            ],
        },
    }
