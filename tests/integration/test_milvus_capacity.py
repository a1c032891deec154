"""The operator's dealings with a real Milvus that could do harm or be misread: its memory, and what is in use."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymilvus import MilvusClient
from search_operator.act.milvus import act_on_milvus
from search_operator.api.derive import encoder_identity, hnsw_index
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.steps import CreateCollection, DropCollection, LoadCollection, PointAlias, Step
from search_operator.milvus_api import MilvusPool, MilvusUnavailable
from search_operator.observe.capacity import query_node_memory
from search_operator.observe.credentials import StoreCredentials
from search_plane.release.record import ReleaseRecord

from tests.unit.operator_core.builders import index

pytestmark = pytest.mark.stores


class Operator:
    """The operator's hands on that Milvus, for one index."""

    def __init__(self, uri: str) -> None:
        endpoint = {"endpoint": uri.removeprefix("http://"), "credentialsSecretRef": None}
        self.index: SemanticSearchIndex = index("products", vectorStore={"milvus": endpoint})
        self.collection = f"search__products_r_{uuid.uuid4().hex[:8]}"
        self.alias = f"search__products_{uuid.uuid4().hex[:8]}"
        self.record = ReleaseRecord(
            namespace=self.index.namespace,
            index=self.index.name,
            release="r-1",
            encoder=encoder_identity(self.index.spec),
            hnsw=hnsw_index(self.index.spec),
            shards=1,
        )

    def take(self, step: Step, queried: str = "") -> None:
        """One step, with a pool of its own."""
        self._with_pool(lambda pool: act_on_milvus(pool, self.index, StoreCredentials(), step, queried))

    def memory(self) -> tuple[int | None, int | None]:
        """Bytes of the query nodes: in all, free."""
        milvus = self.index.spec.vector_store.milvus
        found: tuple[int | None, int | None] = self._with_pool(
            lambda pool: pool.call(milvus, StoreCredentials(), query_node_memory)
        )
        return found

    @staticmethod
    def _with_pool(work: Callable[[MilvusPool], Any]) -> Any:
        async def run() -> Any:
            pool = MilvusPool()
            try:
                return await work(pool)
            finally:
                pool.close()

        return asyncio.run(run())


@pytest.fixture
def operator(milvus_uri: str) -> Iterator[Operator]:
    made = Operator(milvus_uri)
    yield made
    client = MilvusClient(milvus_uri)
    if made.collection in client.list_collections():
        client.drop_alias(made.alias)
        client.drop_collection(made.collection)
    client.close()


def test_milvus_tells_how_much_memory_its_query_nodes_have(operator: Operator) -> None:
    total, free = operator.memory()
    assert total is not None
    assert free is not None
    # At least what Milvus needs to run at all, and less than everything.
    assert 512 * 1024**2 < free < total


def test_a_collection_that_somebody_asks_is_neither_taken_out_of_memory_nor_dropped(
    operator: Operator, milvus_uri: str
) -> None:
    name = operator.collection
    load = LoadCollection("the number of replicas", name, replicas=1, release_first=True)
    drop = DropCollection("retired", name, "r-1")
    operator.take(CreateCollection("new", name, operator.record))
    operator.take(load)

    for step, reason in ((load, "ReleaseRefused"), (drop, "DropRefused")):
        with pytest.raises(MilvusUnavailable, match="gateways query it") as refused:
            operator.take(step, queried=name)
        assert refused.value.reason == reason

    operator.take(PointAlias("switch", operator.alias, name))
    for step, reason in ((load, "ReleaseRefused"), (drop, "DropRefused")):
        with pytest.raises(MilvusUnavailable, match="names it") as refused:
            operator.take(step, queried="another")
        assert refused.value.reason == reason

    client = MilvusClient(milvus_uri)
    assert str(client.get_load_state(name)["state"]).endswith(("Loaded", "Loading"))
    client.drop_alias(operator.alias)
    operator.take(load, queried="another")
    operator.take(drop, queried="another")
    assert name not in client.list_collections()
    client.close()
