"""A world in memory that plans act on: children, jobs, gateways, Milvus, and the troubles that befall them.

It is a fake of the API server and the data plane as far as a plan can see them, so that thousands of histories take
seconds. Each step is checked (promises.py) against what is true in the world, not against what was observed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from search_operator.act.execute import LEANED_ON
from search_operator.decide.plan import plan
from search_operator.decide.rollout import rollout
from search_operator.decide.schedule import rfc3339
from search_operator.decide.spending import accounted
from search_operator.decide.status import status
from search_operator.decide.steps import (
    FINALIZER,
    AddFinalizer,
    ApplyObject,
    DeleteObject,
    Failure,
    KeepLedger,
    NudgeGateway,
    Outcome,
    Plan,
    ReleaseFinalizer,
    Step,
)
from search_operator.observe.book import Book, book_in
from search_operator.observe.observation import (
    Capacity,
    CatalogueView,
    Observation,
    OpenCostView,
    PricesView,
    Problem,
    ScalingView,
)
from search_operator.observe.observer import snapshot_in
from search_operator.observe.workloads import job_view, pod_view
from search_operator.render.encoder import encoder_name
from search_operator.render.ledger import kept_ledger, ledger_aside
from search_plane.release.identity import EncoderIdentity
from search_plane.release.record import ReleaseSnapshot

from tests.unit.operator_core.builders import INSTALLATION, START, Object
from tests.unit.operator_core.promises import (
    check_bill,
    check_encoders_go,
    check_one_scaler,
    check_pointer,
    check_status,
    scaler_bounds,
    why_needed,
)
from tests.unit.operator_core.simulated_gateway import SimulatedGateway
from tests.unit.operator_core.simulated_index import Resource, applied, copied
from tests.unit.operator_core.simulated_jobs import run_jobs
from tests.unit.operator_core.simulated_milvus import Collection, SimulatedMilvus, StepFailed

NO_CATALOGUE = Problem("Unreachable", "Elasticsearch does not answer", needs_a_person=False)
EMPTY = Problem("CatalogueEmpty", "index products holds no document; load the catalogue")
POINTER = ("ConfigMap", "products-active")
LEDGER = ("ConfigMap", "products-ledger")
GATEWAY = ("Deployment", "products-gateway")


@dataclass
class World(Resource):
    """All that one index can see and change."""

    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    """Pods of jobs that have ended."""
    gateways: dict[str, SimulatedGateway] = field(default_factory=dict)
    milvus: SimulatedMilvus = field(default_factory=SimulatedMilvus)
    documents: int = 2000
    catalogue_problem: Problem | None = None
    capacity: Capacity = field(default_factory=Capacity)
    broken_encoders: set[str] = field(default_factory=set)
    """Fingerprints whose encoders never get ready."""
    measures: dict[str, float] = field(default_factory=dict)
    """What a verification measures other than well."""
    failing: frozenset[str] = frozenset()
    serial: int = 0
    versions: int = 0
    pointer_changed: datetime = START
    prices: PricesView = field(default_factory=PricesView)
    """Prices of a shared ConfigMap."""
    scaling: ScalingView = field(default_factory=lambda: ScalingView("Ours", knows_metric=True))
    """What the cluster has to scale by."""
    open_cost: OpenCostView = field(default_factory=OpenCostView)
    """What OpenCost answered last."""
    last_steps: tuple[Step, ...] = ()
    """Steps of the newest plan."""

    # --- what an observer sees -------------------------------------------------------------------------------

    def observe(self) -> Observation:
        """The world as the operator sees it now."""
        children = {key: copied(child) for key, child in self.children.items()}
        pods = tuple(pod_view(p) for p in self.pods.values())
        jobs = [job_view(o, pods, None) for (kind, _), o in sorted(children.items()) if kind == "Job"]
        seen = Observation(
            now=self.now,
            index=self.index,
            children=children,
            pods=pods,
            jobs=tuple(jobs),
            snapshot=snapshot_in(children.get(POINTER)),
            book=book_in(children.get(POINTER)),
            gateways=tuple(g.view() for _, g in sorted(self.gateways.items()) if g.ready or not g.down),
            capacity=self.capacity,
            milvus=self.milvus.view(),
            catalogue=CatalogueView(problem=self.catalogue_problem, documents=self.documents),
            prices=self.prices,
            scaling=self.scaling,
            open_cost=self.open_cost,
            ledger=kept_ledger(children.get(LEDGER), self.index),
            ledger_aside=ledger_aside(children.get(LEDGER), self.index),
        )
        return accounted(seen)

    @property
    def pointed_at(self) -> str:
        """The collection that gateways shall query, by the pointer; empty when none."""
        snapshot = snapshot_in(self.children.get(POINTER))
        return snapshot.milvus.collection if snapshot else ""

    @property
    def book(self) -> Book:
        """The book in the pointer."""
        return book_in(self.children.get(POINTER))

    @property
    def collections(self) -> dict[str, Collection]:
        """Milvus' collections."""
        return self.milvus.collections

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
            if not failures and not self._held_back(todo):
                check_bill(observation.allowed_encoders, self.children)
        return todo

    def _held_back(self, todo: Plan) -> bool:
        """Whether the pass was one in which children are not looked at."""
        deleted = "deletionTimestamp" in self.body["metadata"]
        wrote = any(isinstance(s, ApplyObject) and s.target == "/".join(POINTER) for s in todo.steps)
        lost = POINTER not in self.children
        return bool(wrote or deleted or lost or self.body["spec"].get("paused"))

    def _report(self, observation: Observation, outcome: Outcome) -> None:
        said = status(observation, outcome)
        failed, now = bool(outcome.failures), rollout(observation)
        whole = self._active_is_whole(observation) and not failed
        begun = now.book.candidate is not None or now.decided.candidate is not None
        check_status(self.body, said, active_is_whole=whole, failed=failed, begun=begun)
        self.body["status"] = said
        once_more = replace(observation.index, status=self.index.status)
        again = status(replace(observation, index=once_more), outcome)
        assert again == said, "status() is not idempotent"

    def _active_is_whole(self, observation: Observation) -> bool:
        """Whether the active release alone has all it needs, as it was observed."""
        active = observation.book.active
        if active is None or observation.catalogue.problem or not observation.milvus.known:
            return False
        seen = next(
            (c for c in observation.milvus.collections if c.record.release == active.release),
            None,
        )
        fleet = observation.child("Deployment", encoder_name("products", active.record.encoder)) or {}
        gateway = observation.child(*GATEWAY) or {}
        minimum = observation.index.spec.encoder.autoscaling.min_replicas
        return (
            seen is not None
            and seen.loaded
            and seen.indexed
            and seen.replicas >= active.record.replicas
            and fleet.get("status", {}).get("readyReplicas", 0) >= minimum
            and gateway.get("status", {}).get("readyReplicas", 0) > 0
        )

    def take(self, step: Step) -> None:
        """Take a step, or raise StepFailed; an AssertionError when it breaks a promise."""
        finalizers = self.body["metadata"].setdefault("finalizers", [])
        assert isinstance(step, AddFinalizer) or FINALIZER in finalizers, f"{step} before our finalizer"
        if type(step).__name__ in self.failing:
            raise StepFailed("ApiError")
        deleting = "deletionTimestamp" in self.body["metadata"]
        match step:
            case AddFinalizer():
                assert not deleting
                finalizers.append(FINALIZER)
            case ReleaseFinalizer():
                finalizers.remove(FINALIZER)
                self.gone = True
                self.children.clear()
                self.pods.clear()
            case ApplyObject(body=body):
                self._apply(body)
            case KeepLedger(body=body, resource_version=version):
                live = self.children.get(LEDGER)
                assert version == (live["metadata"]["resourceVersion"] if live else ""), "a blind write"
                self._apply(body)
            case DeleteObject(kind=kind, name=name, uid=uid):
                live = self.children.get((kind, name))
                if live and live["metadata"]["uid"] == uid:
                    if kind == "Deployment" and not deleting:
                        check_encoders_go(name, self.index, self.book, self.gateways, self.milvus)
                    self.delete_child((kind, name))
            case NudgeGateway(pod=pod, revision=revision):
                if pod in self.gateways:
                    self.gateways[pod].nudge(revision)
            case _:
                self.milvus.take(step, self._protected, deleting=deleting)

    def _protected(self, release: str) -> str:
        return why_needed(release, self.book, self.gateways)

    def _apply(self, wish: Object) -> None:
        key = (wish["kind"], wish["metadata"]["name"])
        assert "deletionTimestamp" not in self.body["metadata"], f"{key} is applied for a deleted index"
        live = self.children.get(key)
        check_one_scaler(key, self.children)
        if live is not None:
            assert wish["kind"] != "Job", f"{key} is applied again, and a Job's pods never change"
        if key == POINTER:
            self._point((live or {}).get("data", {}), wish["data"])
        self.children[key] = applied(live or self._new(wish), wish)
        self.versions += 1
        self.children[key]["metadata"]["resourceVersion"] = str(self.versions)
        if key == POINTER and (target := self.collections.get(self.pointed_at)):
            target.was_active = True

    def _point(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        told = (self.body.get("status") or {}).get("activeRelease")
        named_by_alias = self.collections.get(self.milvus.alias)
        known = bool(before) or (named_by_alias is not None and named_by_alias.record.release == told)
        if not before and known and named_by_alias is not None:
            book = book_in({"data": dict(after)})
            assert book.active is not None, "the pointer is lost, and so is whom Milvus knows as active"
        check_pointer(before, after, self.milvus, self.gateways, known=known)
        if before != after:
            self.pointer_changed = self.now

    def _new(self, wish: Object) -> Object:
        self.serial += 1
        meta = {"uid": f"uid-{self.serial}", "creationTimestamp": rfc3339(self.now)}
        state = {"startTime": rfc3339(self.now)} if wish["kind"] == "Job" else {}
        return {"metadata": meta, "status": state}

    # --- what happens by itself ------------------------------------------------------------------------------

    def tick(self, seconds: float = 5) -> None:
        """Time passes, and gateways look at what has changed."""
        self.now += timedelta(seconds=seconds)
        self._gateways_live()

    def _gateways_live(self) -> None:
        live = self.children.get(GATEWAY)
        if live is None or self.gone:
            self.gateways.clear()
            return
        pointer = self.children.get(POINTER)
        data = pointer["data"] if pointer else None
        for gateway in self.gateways.values():
            gateway.live(self.now, data, self.pointer_changed, self.serves)
        live["status"] = {"readyReplicas": sum(g.ready for g in self.gateways.values())}

    def serves(self, snapshot: ReleaseSnapshot) -> bool:
        """Whether queries to that release are answered: its collection and its encoder are there."""
        found = self.collections.get(snapshot.milvus.collection)
        stored = self.milvus.problem is None and found is not None and found.serves
        return stored and self.encoders_of(snapshot.encoder) > 0

    def encoders_of(self, identity: EncoderIdentity) -> int:
        """Ready encoders of that fingerprint."""
        live = self.children.get(("Deployment", encoder_name("products", identity)), {})
        return int(live.get("status", {}).get("readyReplicas", 0))

    def ready_pods(self, component: str, share: float = 1.0) -> None:
        """The Deployments of a component get their pods: all that are wanted, or a share of them."""
        if component == "gateway":
            self._start_gateways()
            if share < 1:
                for gateway in list(self.gateways.values())[int(len(self.gateways) * share) :]:
                    gateway.stop()
            self._gateways_live()
            return
        for (kind, name), live in self.children.items():
            if kind == "Deployment" and "-encoder-" in name:
                self._scale(name, live, share)
        for found in self.collections.values():
            found.encoder_seen |= self.encoders_of(found.record.encoder) > 0

    def _scale(self, name: str, live: Object, share: float) -> None:
        bounds = scaler_bounds(self.children, name)
        wanted = live["spec"].get("replicas", 1)
        if bounds:
            # A scaler keeps the number within its bounds, and goes to its minimum without a load.
            wanted = bounds[0]
        broken = any(name.endswith(f[7:15]) for f in self.broken_encoders)
        live["spec"]["replicas"] = wanted
        live["status"] = {"readyReplicas": 0 if broken else int(wanted * share)}

    def _start_gateways(self) -> None:
        live, pointer = self.children.get(GATEWAY), self.children.get(POINTER)
        if live is None or pointer is None:
            return
        for gateway in self.gateways.values():
            gateway.down = False
        while len(self.gateways) < live["spec"]["replicas"]:
            self.serial += 1
            name = f"products-gateway-{self.serial}"
            lag = timedelta(seconds=60 + self.serial * 7 % 31)
            self.gateways[name] = SimulatedGateway(name, lag, dict(pointer["data"]))

    def gateway(self, number: int) -> SimulatedGateway | None:
        """The n-th gateway pod, if there are any."""
        names = sorted(self.gateways)
        return self.gateways[names[number % len(names)]] if names else None

    def replace_gateway(self, number: int) -> None:
        """The n-th gateway pod goes; another one starts with the pointer as it is now."""
        if gateway := self.gateway(number):
            del self.gateways[gateway.name]
            self._start_gateways()
            self._gateways_live()

    def load(self) -> None:
        """Milvus ends its loads and its indexes."""
        self.milvus.settle()

    def work(self, component: str = "") -> None:
        """Running jobs (of a component) end well, if they find all that they need."""
        run_jobs(self, component)

    def drop_collections(self) -> None:
        """Somebody drops every collection by hand; a dangling alias stays behind, as old servers have it."""
        self.collections.clear()

    def delete_child(self, key: tuple[str, str]) -> None:
        """A child vanishes, and with a Job its pods."""
        self.children.pop(key, None)
        if key[0] == "Job":
            self.pods = {n: p for n, p in self.pods.items() if not n.startswith(f"{key[1]}.")}

    def delete_any_child(self, number: int) -> None:
        """Somebody deletes the n-th child by hand."""
        if self.children:
            self.delete_child(sorted(self.children)[number % len(self.children)])

    def edit_any_child(self, number: int) -> None:
        """Somebody edits the labels of the n-th child by hand."""
        if self.children:
            key = sorted(self.children)[number % len(self.children)]
            self.children[key]["metadata"]["labels"]["app.kubernetes.io/part-of"] = "mine"

    # --- what people do --------------------------------------------------------------------------------------

    def approve(self) -> None:
        """A person lets the candidate that waits for it take over."""
        candidate = self.book.candidate
        if candidate and self.body["spec"].get("rollout", {}).get("promotion") == "Manual":
            self.set_spec(rollout={"approvedRelease": candidate.release})

    def heal(self) -> None:
        """Every outer trouble goes away."""
        self.milvus.problem = self.catalogue_problem = None
        self.milvus.replicas_readable = True
        self.failing = frozenset()
        self.broken_encoders.clear()
        self.measures.clear()
        self.capacity = Capacity()
        for gateway in self.gateways.values():
            gateway.silent, gateway.traffic = False, ()
        if self.body["spec"].get("paused"):
            self.set_spec(paused=False)

    def progress(self) -> None:
        """Everything that can get ready does, and some seconds pass."""
        self.ready_pods("encoder")
        self.load()
        self.work()
        self.ready_pods("gateway")
        self.tick()

    def settle(self, rounds: int = 120) -> int:
        """Heal, then pass after pass until one plans nothing and says nothing new; returns how many it took."""
        self.heal()
        for number in range(rounds):
            before = self.body.get("status")
            self.approve()
            todo = self.reconcile()
            if self.gone or (not todo.steps and before == self.body["status"] and self.resting):
                return number
            self.progress()
        raise AssertionError(f"no rest after {rounds} passes: {todo.steps} {self.book} {self.body['status']}")

    @property
    def resting(self) -> bool:
        """Whether the index is Ready, and nothing is on its way: no release, and no policy."""
        search = self.body.get("status", {}).get("search", {})
        on_its_way = (
            self.book.candidate or self.book.retiring or search.get("onPolicy") != search.get("gateways")
        )
        return self.serving and not on_its_way

    @property
    def serving(self) -> bool:
        """Whether the status says Ready."""
        told = self.body.get("status", {}).get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in told)
