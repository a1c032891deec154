"""Which events of the watches wake the work queue: what is news, and never our own writes."""

import asyncio
from typing import Any

import kopf
import pytest
from search_operator.observe.cache import Cache, IndexKey
from search_operator.run.leadership import Leadership
from search_operator.run.watches import Watches
from search_operator.run.work_queue import WorkQueue

KEY = ("search", "products")


def child(version: str, kind: str = "Service") -> dict[str, Any]:
    labels = {"semanticsearch.io/index": KEY[1]}
    meta = {
        "name": "products-gateway",
        "namespace": KEY[0],
        "labels": labels,
        "resourceVersion": version,
        "uid": "u",
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": meta}


def index(version: str) -> dict[str, Any]:
    meta = {"name": KEY[1], "namespace": KEY[0], "resourceVersion": version, "uid": "u"}
    return {"apiVersion": "semanticsearch.io/v1alpha1", "kind": "SemanticSearchIndex", "metadata": meta}


async def _never(_key: IndexKey) -> float | None:
    raise AssertionError("nothing is worked on here")


def woken_by(cache: Cache, body: dict[str, Any], kind: str | None) -> bool:
    """Whether an event puts the index on the queue."""
    queue: WorkQueue[IndexKey] = WorkQueue(handle=_never, on_error=lambda _key, _error: None)
    watches = Watches(cache, queue, Leadership("default", "me", 15))
    handler = watches._index_event if body["kind"] == "SemanticSearchIndex" else watches._child_event
    asyncio.run(handler(type=kind, body=kopf.Body(body)))
    return queue.depth() == 1


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", None])
def test_news_wakes(kind: str | None) -> None:
    assert woken_by(Cache(), child("7"), kind)
    assert woken_by(Cache(), index("7"), kind)


def test_our_own_write_does_not_wake_but_the_next_change_does() -> None:
    cache = Cache()
    cache.put(child("7"))
    cache.put_index(index("8"))
    assert not woken_by(cache, child("7"), "MODIFIED")
    assert not woken_by(cache, index("8"), "MODIFIED")
    assert woken_by(cache, child("9"), "MODIFIED")
    assert woken_by(cache, index("10"), "MODIFIED")


def test_an_older_change_that_we_did_not_make_still_wakes() -> None:
    """The spec was changed just before our status was written over it: the answer to our write holds both."""
    cache = Cache()
    cache.put_index(index("101"))
    assert woken_by(cache, index("100"), "MODIFIED")
    assert cache.indexes[KEY]["metadata"]["resourceVersion"] == "101"


def test_a_deletion_wakes_and_forgets() -> None:
    cache = Cache()
    cache.put(child("7"))
    cache.put_index(index("8"))
    assert woken_by(cache, child("9"), "DELETED")
    assert not cache.children(KEY)
    assert woken_by(cache, index("9"), "DELETED")
    assert KEY not in cache.indexes
