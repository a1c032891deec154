"""The steps that change Milvus. Each may be repeated after a crash at any point."""

from typing import Any

from pymilvus import MilvusException
from search_plane.release.record import VECTOR_FIELD, HnswIndex, ReleaseRecord
from search_plane.stores.schema import collection_schema

from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.steps import (
    CreateCollection,
    CreateIndex,
    DropAlias,
    DropCollection,
    LoadCollection,
    PointAlias,
    Step,
)
from search_operator.milvus_api import CALL_SECONDS, MilvusPool, MilvusUnavailable
from search_operator.observe.credentials import StoreCredentials

LOAD_SECONDS = 30.0


async def act_on_milvus(
    pool: MilvusPool, index: SemanticSearchIndex, credentials: StoreCredentials, step: Step, queried: str
) -> None:
    """Take one step, but never one that takes the `queried` collection away. Raises MilvusUnavailable."""
    milvus = index.spec.vector_store.milvus

    def work(client: Any) -> None:
        match step:
            case CreateCollection(collection=name, record=record):
                _create_collection(client, name, record)
                _create_index(client, name, record.hnsw)
            case CreateIndex(collection=name, record=record):
                _create_index(client, name, record.hnsw)
            case LoadCollection(collection=name, replicas=replicas, release_first=release_first):
                if release_first:
                    _release_collection(client, name, queried)
                client.load_collection(name, replica_number=replicas, timeout=LOAD_SECONDS, _async=True)
            case PointAlias(alias=alias, collection=name):
                _point_alias(client, alias, name)
            case DropAlias(alias=alias):
                client.drop_alias(alias, timeout=CALL_SECONDS)
            case DropCollection(collection=name, release=release):
                _drop_collection(client, index, name, release, queried)
            case _:
                raise TypeError(f"{type(step).__name__} is no step for Milvus")

    await pool.call(milvus, credentials, work, within=LOAD_SECONDS)


def _create_collection(client: Any, name: str, record: ReleaseRecord) -> None:
    # No index_params here: with them Milvus would load at once, with its default number of replicas.
    client.create_collection(
        name, schema=collection_schema(record), num_shards=record.shards, timeout=CALL_SECONDS
    )


def _create_index(client: Any, name: str, hnsw: HnswIndex) -> None:
    params = client.prepare_index_params()
    params.add_index(
        VECTOR_FIELD,
        index_name=VECTOR_FIELD,
        index_type="HNSW",
        metric_type=hnsw.metric,
        params={"M": hnsw.m, "efConstruction": hnsw.ef_construction},
    )
    client.create_index(name, params, timeout=CALL_SECONDS, sync=False)


def _point_alias(client: Any, alias: str, name: str) -> None:
    try:
        client.alter_alias(name, alias, timeout=CALL_SECONDS)
    except MilvusException:
        client.create_alias(name, alias, timeout=CALL_SECONDS)
    answer = client.describe_alias(alias, timeout=CALL_SECONDS).get("collection_name")
    if answer != name:
        raise MilvusUnavailable(
            "AliasNotMoved",
            f"alias {alias} still names {answer} after it was pointed to {name}",
            needs_a_person=False,
        )


def _release_collection(client: Any, name: str, queried: str) -> None:
    """Take it out of memory only if nobody asks it: whatever the plan thought, this would be an outage."""
    aliases = client.describe_collection(name, timeout=CALL_SECONDS).get("aliases")
    if aliases or name == queried:
        by = f"alias {', '.join(aliases)} names it" if aliases else "gateways query it"
        message = f"collection {name} is not loaded anew, which would interrupt searches: {by}"
        raise MilvusUnavailable("ReleaseRefused", message, needs_a_person=False)
    client.release_collection(name, timeout=CALL_SECONDS)


def _drop_collection(client: Any, index: SemanticSearchIndex, name: str, release: str, queried: str) -> None:
    """Drop it only if it still is what the plan meant, and nobody asks it: old servers would allow that."""
    if name not in client.list_collections(timeout=CALL_SECONDS):
        return
    described = client.describe_collection(name, timeout=CALL_SECONDS)
    record = ReleaseRecord.from_description(described.get("description", ""))
    ours = record is not None and (record.namespace, record.index, record.release) == (
        index.namespace,
        index.name,
        release,
    )
    if not ours or described.get("aliases") or name == queried:
        message = (
            f"collection {name} is not dropped: it is not release {release} of this index, an alias names it, "
            "or gateways query it"
        )
        raise MilvusUnavailable("DropRefused", message, needs_a_person=True)
    client.drop_collection(name, timeout=LOAD_SECONDS)
