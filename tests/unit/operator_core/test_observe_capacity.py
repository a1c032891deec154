"""When room for a second release is asked for, and what counts as room."""

import asyncio
import json
from typing import Any

import pytest
from search_operator.api.derive import desired_release, encoder_identity, hnsw_index
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.kubernetes import Toleration
from search_operator.milvus_api import MilvusUnavailable
from search_operator.observe.book import Book, Held
from search_operator.observe.capacity import (
    KEPT_SECONDS,
    CapacityReader,
    devices_of,
    memory_in,
    takes,
    worth_asking,
)
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.observation import Capacity
from search_plane.release.record import ReleaseRecord

from tests.unit.operator_core.builders import START, Object, index

GPU = "nvidia.com/gpu"


def book(of: SemanticSearchIndex, rebuild: str = "") -> Book:
    """The book in which what `of` asks for is active, as built anew at `rebuild`."""
    record = ReleaseRecord(
        namespace=of.namespace,
        index=of.name,
        release=desired_release(of.spec, rebuild),
        encoder=encoder_identity(of.spec),
        hnsw=hnsw_index(of.spec),
        shards=4,
        rebuild=rebuild,
    )
    return Book(active=Held(record=record, since=START))


def test_at_rest_nobody_asks() -> None:
    of = index("production")
    assert not worth_asking(of, book(of))
    assert not worth_asking(of, book(of, rebuild="2026-11-22T03:00:00Z"))


def test_it_is_asked_while_another_release_is_wanted_or_on_its_way() -> None:
    of = index("production")
    assert worth_asking(of, Book())
    assert worth_asking(index("production", encoder={"maxTokens": 64}), book(of))
    told = index("production", status={"releases": [{"name": "r-2", "role": "Candidate"}]})
    assert worth_asking(told, book(told))
    noted = book(of)
    assert worth_asking(of, noted.model_copy(update={"candidate": noted.active}))
    full = index("production", refresh={"mode": "Full"})
    assert worth_asking(full, book(full))


def node(name: str = "n", gpus: int = 4, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": spec, "status": {"allocatable": {GPU: str(gpus)}}}


def taint(effect: str, key: str = "nvidia.com/gpu", value: str = "") -> dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


def test_a_node_takes_pods_unless_it_is_cordoned_or_tainted() -> None:
    exists = Toleration(key=GPU, operator="Exists")
    equal = Toleration(key="team", operator="Equal", value="search", effect="NoSchedule")
    everything = Toleration(operator="Exists")
    assert takes(node(), ())
    assert not takes(node(unschedulable=True), (everything,))
    assert not takes(node(taints=[taint("NoSchedule")]), ())
    assert takes(node(taints=[taint("PreferNoSchedule")]), ())
    assert takes(node(taints=[taint("NoSchedule")]), (exists,))
    assert not takes(
        node(taints=[taint("NoSchedule"), taint("NoExecute", "team", "search")]), (exists, equal)
    )
    assert takes(node(taints=[taint("NoSchedule", "team", "search")]), (equal,))
    assert not takes(node(taints=[taint("NoSchedule", "team", "ads")]), (equal,))
    assert takes(node(taints=[taint("NoExecute", "x"), taint("NoSchedule", "y")]), (everything,))


def container(gpus: str) -> Object:
    return {"resources": {"requests": {GPU: gpus}}}


def test_a_pod_holds_what_its_containers_or_its_largest_init_container_ask_for() -> None:
    assert devices_of({"spec": {"containers": [{}]}}, GPU) == 0
    assert devices_of({"spec": {"containers": [container("1"), container("2")]}}, GPU) == 3
    both = {"containers": [container("1")], "initContainers": [container("4"), container("2")]}
    assert devices_of({"spec": both}, GPU) == 4


def system_info(*nodes: tuple[str, int, int]) -> str:
    infos = [
        {"infos": {"type": kind, "hardware_infos": {"memory": memory, "memory_usage": used}}}
        for kind, memory, used in nodes
    ]
    return json.dumps({"nodes_info": infos})


def test_only_query_nodes_hold_vectors() -> None:
    told = system_info(("querynode", 100, 30), ("querynode", 50, 60), ("datanode", 999, 0))
    assert memory_in(told) == (150, 70)


@pytest.mark.parametrize(
    "strange",
    ["", "{}", '{"nodes_info": null}', system_info(("proxy", 9, 1)), system_info(("querynode", 0, 0))],
)
def test_an_answer_that_says_nothing_of_query_nodes_is_not_known(strange: str) -> None:
    assert memory_in(strange) == (None, None)


class FakeApi:
    """A fake of the API server: two GPU nodes, on one of which a pod holds a device."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def list(self, kind: Any, *, label_selector: str = "", field_selector: str = "") -> list[Object]:
        self.asked.append(f"{kind.kind} {label_selector}{field_selector.partition(',')[0]}")
        if self.error:
            raise self.error
        if kind.kind == "Node":
            return [node("a", 4), node("b", 2), node("plain", 0), node("closed", 4, unschedulable=True)]
        return [{"spec": {"containers": [container("1")]}}] if "=a" in field_selector else []


class FakeMilvus:
    """A fake of the pool: how much memory the query nodes have, or that they don't answer."""

    answer: tuple[int, int] | None = (100, 40)

    async def call(self, *_: Any) -> tuple[int, int]:
        if self.answer is None:
            raise MilvusUnavailable("Unreachable", "away", needs_a_person=False)
        return self.answer


def look(reader: CapacityReader, of: SemanticSearchIndex) -> Capacity:
    return asyncio.run(reader.look(of, StoreCredentials()))


def test_free_is_what_matching_nodes_offer_less_what_pods_on_them_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("search_operator.observe.capacity.time.monotonic", lambda: now)
    api, milvus = FakeApi(), FakeMilvus()
    reader, of = CapacityReader(api, milvus), index("production")  # type: ignore[arg-type]
    assert look(reader, of) == Capacity(gpus_total=6, gpus_free=5, memory_total=100, memory_free=40)
    assert api.asked == ["Node accelerator=nvidia-tesla-t4", "Pod spec.nodeName=a", "Pod spec.nodeName=b"]

    # Within half a minute the answers hold, and then they are asked for again.
    milvus.answer = None
    assert look(reader, of).memory_free == 40
    assert len(api.asked) == 3
    now += KEPT_SECONDS + 1
    assert look(reader, of) == Capacity(gpus_total=6, gpus_free=5)
    assert len(api.asked) == 6


def test_what_is_refused_is_not_known_and_cpu_encoders_need_no_devices() -> None:
    api = FakeApi()
    api.error = TimeoutError()
    reader = CapacityReader(api, FakeMilvus())  # type: ignore[arg-type]
    assert look(reader, index("production")) == Capacity(memory_total=100, memory_free=40)
    asked = len(api.asked)
    assert look(reader, index("production", encoder={"accelerator": {"count": 0}})).gpus_free is None
    assert len(api.asked) == asked
