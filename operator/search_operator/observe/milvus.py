"""Milvus as one index sees it: its collections by their records, how loaded they are, where the alias points."""

from typing import Any

from pymilvus import MilvusException
from search_plane.release.record import VECTOR_FIELD, ReleaseRecord, alias_name

from search_operator.api.index import SemanticSearchIndex
from search_operator.milvus_api import CALL_SECONDS, MilvusPool, MilvusUnavailable
from search_operator.observe.credentials import StoreCredentials
from search_operator.observe.observation import CollectionView, MilvusView, Problem

_ALIAS_NOT_FOUND = 1600


async def look_at_milvus(
    pool: MilvusPool, index: SemanticSearchIndex, credentials: StoreCredentials
) -> MilvusView:
    """Everything of this index in its Milvus database."""
    try:
        return await pool.call(
            index.spec.vector_store.milvus,
            credentials,
            lambda client: _look(client, index),
            within=3 * CALL_SECONDS,
        )
    except MilvusUnavailable as error:
        return MilvusView(problem=Problem(error.reason, str(error), error.needs_a_person))


def _look(client: Any, index: SemanticSearchIndex) -> MilvusView:
    alias = alias_name(index.namespace, index.name)
    names = [n for n in client.list_collections(timeout=CALL_SECONDS) if n.startswith(f"{alias}_r_")]
    views = [view for name in sorted(names) if (view := _collection(client, index, name))]
    return MilvusView(collections=tuple(views), alias_target=_alias_target(client, alias))


def _collection(client: Any, index: SemanticSearchIndex, name: str) -> CollectionView | None:
    record = ReleaseRecord.from_description(
        client.describe_collection(name, timeout=CALL_SECONDS).get("description", "")
    )
    if record is None or (record.namespace, record.index) != (index.namespace, index.name):
        return None
    indexed = VECTOR_FIELD in client.list_indexes(name, timeout=CALL_SECONDS)
    built = client.describe_index(name, VECTOR_FIELD, timeout=CALL_SECONDS) if indexed else {}
    load = str(client.get_load_state(name, timeout=CALL_SECONDS).get("state", ""))
    loaded = load.endswith("Loaded")
    pending = int(built.get("pending_index_rows", 0))
    return CollectionView(
        name=name,
        record=record,
        indexed=indexed,
        index_finished=built.get("state") == "Finished" and pending == 0,
        pending_rows=pending,
        loaded=loaded,
        loading=load.endswith("Loading"),
        replicas=_replicas(client, name) if loaded else 0,
        rows=_rows(client, name) if loaded else None,
    )


def _replicas(client: Any, name: str) -> int:
    try:
        return len(client.describe_replica(name, timeout=CALL_SECONDS))
    except MilvusException:
        # A lost query node turns this call into an error until its replica is whole again.
        return 0


def _rows(client: Any, name: str) -> int | None:
    try:
        answer = client.query(
            name, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=CALL_SECONDS
        )
    except MilvusException:
        # Right after a restart a loaded collection can't be counted for some seconds.
        return None
    return int(answer[0]["count(*)"])


def _alias_target(client: Any, alias: str) -> str:
    try:
        return str(client.describe_alias(alias, timeout=CALL_SECONDS).get("collection_name", ""))
    except MilvusException as error:
        if error.code == _ALIAS_NOT_FOUND or "alias not found" in str(error.message).lower():
            return ""
        raise
