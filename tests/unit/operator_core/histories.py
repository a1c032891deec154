"""What can befall an index: actions by name, strategies of histories made of them, and what must be true at rest."""

import os
from collections.abc import Callable
from dataclasses import replace

from hypothesis import Phase, settings
from hypothesis import strategies as st
from search_operator.decide.plan import plan
from search_operator.decide.rollout import rollout
from search_operator.decide.scaling import SCALER_KINDS
from search_operator.observe.observation import Capacity, ScalingView
from search_operator.render.encoder import encoder_name
from search_operator.render.entry import entry_key
from search_operator.render.policy import policy_of
from search_operator.render.reranker import reranker_of
from search_plane.release.gateway_state import ReleaseTraffic
from search_plane.release.policy import POLICY_KEY

from tests.unit.operator_core.builders import INSTALLATION, condition, kstatus
from tests.unit.operator_core.simulated_index import fresh_index
from tests.unit.operator_core.simulated_milvus import AWAY
from tests.unit.operator_core.world import EMPTY, NO_CATALOGUE, POINTER, World

# How many histories each property is tried on; HISTORIES=1000 to try more and to shrink what fails.
HISTORIES_TRIED = int(os.environ.get("HISTORIES", "15"))
THOROUGHLY = settings(
    max_examples=HISTORIES_TRIED,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate) + ((Phase.shrink,) if HISTORIES_TRIED > 40 else ()),
)
Action = tuple[str, int]
WINDOW = {"name": "sale", "start": "0 * * * *", "duration": "40m", "replicas": 3, "lead": "1m"}
# Room for three releases side by side, so that a history need not wait for a retention to end.
ROOMY = {"autoscaling": {"minReplicas": 1, "maxReplicas": 4}}
FALLIBLE = (
    "ApplyObject",
    "DeleteObject",
    "CreateCollection",
    "LoadCollection",
    "PointAlias",
    "DropAlias",
    "DropCollection",
    "AddFinalizer",
    "ReleaseFinalizer",
    "NudgeGateway",
)


def set_milvus(name: str, value: object) -> Callable[[World, int], None]:
    """An action that changes how Milvus answers."""
    return lambda world, _: setattr(world.milvus, name, value)


def set_world(name: str, value: object) -> Callable[[World, int], None]:
    """An action that changes something of the world."""
    return lambda world, _: setattr(world, name, value)


def spec(**changes: object) -> Callable[[World, int], None]:
    """An action that edits the spec."""
    return lambda world, _: world.set_spec(**changes)


def fail_next(world: World, number: int) -> None:
    """The next pass, in which every step of one kind fails."""
    world.failing = frozenset({FALLIBLE[number % len(FALLIBLE)]})
    world.reconcile()


def refresh(world: World) -> None:
    """The catalogue grows, and the refresh brings the active and the previous collection up to it."""
    world.documents += 3
    for held in (world.book.active, world.book.previous):
        if held and (found := world.milvus.of_release(held.release)):
            found.rows = world.documents


def silence(world: World, number: int) -> None:
    """The n-th gateway answers queries, but not the operator."""
    if gateway := world.gateway(number):
        gateway.silent = True


def restart(world: World, number: int) -> None:
    """The n-th gateway's container restarts on the file that its pod has."""
    if gateway := world.gateway(number):
        gateway.restart()


def keda_goes(world: World, _: int) -> None:
    """KEDA is uninstalled, its CRDs with it, and so what was of their kinds."""
    world.scaling = replace(world.scaling, keda=False)
    for key in [key for key in world.children if key[0] == "ScaledObject"]:
        world.delete_child(key)


def bad_answers(world: World, number: int) -> None:
    """The active release's answers break what its gates promised, in one of three ways."""
    if world.book.active is None:
        return
    bad = ({"failed": 9}, {"empty": 90}, {"p95_ms": 9000.0})[number % 3]
    for gateway in world.gateways.values():
        seen = {"queries": 200, "p95_ms": 20.0, **bad}
        gateway.traffic = (ReleaseTraffic.model_validate({"release": world.book.active.release, **seen}),)


def break_candidate(world: World, _: int) -> None:
    """The candidate's encoders, if they are others than the active one's, never get ready."""
    active, candidate = world.book.active, world.book.candidate
    if candidate:
        fingerprint = candidate.record.encoder.fingerprint()
        if active is None or active.record.encoder.fingerprint() != fingerprint:
            world.broken_encoders.add(fingerprint)


def roll_back(world: World, number: int) -> None:
    """A person pins the retained release, or one that nobody retains."""
    kept = world.book.previous
    target = kept.release if kept and number % 4 else "r-00000000"
    world.set_spec(rollout={"rollbackTo": target})


ACTIONS: dict[str, Callable[[World, int], object]] = {
    "pass": lambda world, _: world.reconcile(),
    "crash": lambda world, n: world.reconcile(crash_after=n),
    "fail": fail_next,
    "progress": lambda world, _: world.progress(),
    "encoders ready": lambda world, _: world.ready_pods("encoder"),
    "encoders lost": lambda world, _: world.ready_pods("encoder", 0),
    "gateways ready": lambda world, _: world.ready_pods("gateway"),
    "gateways lost": lambda world, _: world.ready_pods("gateway", 0),
    "load ends": lambda world, _: world.load(),
    "job ends": lambda world, _: world.work(),
    "refresh": lambda world, _: refresh(world),
    "minutes pass": lambda world, n: world.tick(60 * n + 1),
    "milvus away": set_milvus("problem", AWAY),
    "milvus back": set_milvus("problem", None),
    "catalogue away": set_world("catalogue_problem", NO_CATALOGUE),
    "catalogue empty": set_world("catalogue_problem", EMPTY),
    "catalogue back": set_world("catalogue_problem", None),
    "replicas unreadable": set_milvus("replicas_readable", False),
    "replicas readable": set_milvus("replicas_readable", True),
    "milvus restarts": lambda world, _: world.milvus.restart(),
    "loaded otherwise by hand": lambda world, _: world.milvus.reload_by_hand(),
    "collections dropped": lambda world, _: world.drop_collections(),
    "child deleted": lambda world, n: world.delete_any_child(n),
    "child edited": lambda world, n: world.edit_any_child(n),
    "pointer deleted": lambda world, _: world.delete_child(POINTER),
    "report lost": lambda world, _: world.pods.clear(),
    "status wiped": lambda world, _: world.body.pop("status", None),
    "synonyms": lambda world, n: world.set_spec(search={"synonyms": [f"a{n}, b{n}"]}),
    "policy lost": lambda world, _: world.children.get(POINTER, {"data": {}})["data"].pop(POLICY_KEY, None),
    "re-ranker": spec(search={"reranker": {"enabled": True, "weights": {"bakedIn": {}, "sha256": "e" * 64}}}),
    "no re-ranker": spec(search={"reranker": {"enabled": False}}),
    "ingress": spec(search={"entry": {"ingress": {"host": "a.example.com"}, "httpRoute": None}}),
    "route": spec(search={"entry": {"httpRoute": {"parentRefs": [{"name": "front"}]}, "ingress": None}}),
    "no entry": spec(search={"entry": None}),
    "paused": lambda world, _: world.set_spec(paused=True),
    "unpaused": lambda world, _: world.set_spec(paused=False),
}
ROLLOUT: dict[str, Callable[[World, int], object]] = {
    "encoder a": spec(encoder={"precision": "fp32"}),
    "encoder b": spec(encoder={"precision": "fp16"}),
    "encoder c": spec(encoder={"precision": "int8"}),
    "another m": spec(vectorStore={"milvus": {"index": {"m": 32}}}),
    "the first m": spec(vectorStore={"milvus": {"index": {"m": 64}}}),
    "two replicas": spec(vectorStore={"milvus": {"replicas": 2}}),
    "one replica": spec(vectorStore={"milvus": {"replicas": 1}}),
    "another ef": spec(vectorStore={"milvus": {"search": {"ef": 200}}}),
    "fewer encoders": spec(encoder={"autoscaling": {"minReplicas": 1, "maxReplicas": 2}}),
    "a window opens": spec(encoder={"autoscaling": {"prewarm": [WINDOW]}}),
    "no window": spec(encoder={"autoscaling": {"prewarm": None}}),
    "no spare encoder": spec(encoder={"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}),
    "roomy": spec(encoder=ROOMY),
    "no retention": spec(rollout={"retain": "0s", "watch": "0s"}),
    "two gateways": spec(search={"replicas": 2}),
    "manual": spec(rollout={"promotion": "Manual"}),
    "automatic": spec(rollout={"promotion": "Automatic"}),
    "approved": lambda world, _: world.approve(),
    "rolled back": roll_back,
    "unpinned": spec(rollout={"rollbackTo": None}),
    "full rebuilds": spec(refresh={"mode": "Full"}),
    "incremental": spec(refresh={"mode": "Incremental"}),
    "refresh asked for": lambda world, _: world.ask(world.now),
    "hours pass": lambda world, n: world.tick(3600 * n),
    "gateway silent": silence,
    "gateway restarts": restart,
    "gateway replaced": lambda world, n: world.replace_gateway(n),
    "measured badly": lambda world, _: world.measures.update(recall=0.2),
    "not measured": lambda world, _: world.measures.update(missing=900),
    "measured well": lambda world, _: world.measures.clear(),
    "bad answers": bad_answers,
    "candidate's encoders broken": break_candidate,
    "metrics api ours": set_world("scaling", ScalingView("Ours", True)),
    "metrics api another's": set_world("scaling", ScalingView("Theirs", keda=True)),
    "metrics api silent": lambda world, _: setattr(
        world, "scaling", replace(world.scaling, metrics_api="Unavailable")
    ),
    "no metrics api": set_world("scaling", ScalingView("Absent")),
    "keda comes": lambda world, _: setattr(world, "scaling", replace(world.scaling, keda=True)),
    "keda goes": keda_goes,
    "by keda": spec(encoder={"autoscaling": {"mode": "keda"}}),
    "by an hpa": spec(encoder={"autoscaling": {"mode": "hpa"}}),
    "too few devices": set_world("capacity", Capacity(gpus_total=1, gpus_free=0)),
    "enough devices": set_world("capacity", Capacity()),
}
EVERYTHING = ACTIONS | ROLLOUT


def histories(
    actions: dict[str, Callable[[World, int], object]], size: int
) -> st.SearchStrategy[list[Action]]:
    """Histories with the way onwards in them: most of what can go wrong goes wrong on the way or after it."""
    names = ["pass", *(["progress"] * 2), *sorted(actions)]
    busy = ["pass", "progress"] * (len(actions) // 2) + sorted(actions)
    number = st.integers(0, 30)
    return st.lists(st.tuples(st.sampled_from(names), number), max_size=size) | st.lists(
        st.tuples(st.sampled_from(busy), number), max_size=size
    )


LIVELY = histories(ACTIONS, 40)
EVENTFUL = histories(EVERYTHING, 60)


def live_through(world: World, history: list[Action]) -> None:
    """Let a history happen."""
    for name, number in history:
        EVERYTHING[name](world, number)


def with_room() -> World:
    """An index that may have encoders for three releases at once."""
    return World(body=fresh_index(encoder=ROOMY, cost={"monthlyCap": "5000"}))


def heal_spec(world: World) -> None:
    """A person takes back what no index can come to rest with."""
    world.set_spec(encoder=ROOMY, paused=False)


def at_rest(world: World, kept: frozenset[str] = frozenset()) -> None:
    """Active, nothing planned, and the pointer, the alias and every gateway at a release that passed its gates.

    Beside it there may be only the retained release and the `kept` collections.
    """
    observation = world.observe()
    assert plan(observation, INSTALLATION).steps == ()
    now, book = rollout(observation), world.book
    assert book.active is not None
    assert (book.candidate, book.retiring) == (None, ())
    target = world.collections[world.pointed_at]
    assert target.fit_to_answer
    assert world.milvus.alias == world.pointed_at
    assert world.body["status"]["activeRelease"] == target.record.release
    held = [held.record for held in book.held]
    parts = {f"search__products_{record.release.replace('-', '_')}" for record in held}
    assert set(world.collections) == parts | kept
    fleets = {n for (kind, n) in world.children if kind == "Deployment" and "-encoder-" in n}
    assert fleets == {encoder_name("products", record.encoder) for record in held}
    scaled = sorted(name for kind, name in world.children if kind in SCALER_KINDS)
    empty = {name for name in fleets if world.children["Deployment", name]["spec"].get("replicas") == 0}
    assert scaled == sorted(fleets - empty), "a fleet has no scaler, or two"
    releases = {child["metadata"]["labels"].get("semanticsearch.io/release") for child in jobs(world)}
    assert releases <= {record.release for record in held}
    assert {gateway.current.release for gateway in world.gateways.values() if gateway.current} == {
        target.record.release
    }
    assert {gateway.policy for gateway in world.gateways.values()} == {policy_of(observation.index)}
    entries = {key for key in world.children if key[0] in ("Ingress", "HTTPRoute")}
    assert entries == ({entry} if (entry := entry_key(observation.index)) else set())
    rerankers = {key for key in world.children if key[1] == "products-reranker"}
    assert bool(rerankers) is (reranker_of(observation.index) is not None)
    aims_at = now.wanted.release
    pinned = observation.index.spec.rollout.rollback_to
    if now.unknown_target or now.failure:
        assert condition(world.body["status"], "Ready")["status"] == "True"
        assert kstatus(world.body) == "Failed", "nobody is told that what is asked for is not there"
        return
    assert book.active.release == (pinned or aims_at)
    assert kstatus(world.body) == "Current"


def jobs(world: World) -> list[dict[str, dict[str, dict[str, str]]]]:
    """The Jobs that exist."""
    return [child for (kind, _), child in world.children.items() if kind == "Job"]
