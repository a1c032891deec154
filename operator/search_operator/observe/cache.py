"""What the watches have told, kept slim: the indexes, their children, their pods."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_operator.api.index import KIND
from search_operator.render.child import INDEX_LABEL

Object = dict[str, Any]
IndexKey = tuple[str, str]
"""(namespace, name) of an index."""


def slim(body: Mapping[str, Any]) -> Object:
    """A copy without managedFields, which nothing here reads and which is half of an object's size."""
    found = dict(body)
    found["metadata"] = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    return found


def index_of(body: Mapping[str, Any]) -> IndexKey | None:
    """The index that a child or pod belongs to, by its label."""
    name = (body["metadata"].get("labels") or {}).get(INDEX_LABEL)
    return (body["metadata"]["namespace"], name) if name else None


def _newer(kept: Object | None, body: Mapping[str, Any]) -> bool:
    """Whether what is kept is newer than `body`: what we wrote may be told by the watch after what it replaced.

    Resource versions of one kind are numbers that grow, by the API conventions since Kubernetes 1.35 and in etcd
    always; where they are not numbers, the last told wins.
    """
    versions = [str(o["metadata"].get("resourceVersion", "")) for o in (kept, body) if o is not None]
    return len(versions) == 2 and all(map(str.isdecimal, versions)) and int(versions[0]) > int(versions[1])


@dataclass
class Cache:
    """Live objects by index. Only the event loop touches it."""

    indexes: dict[IndexKey, Object] = field(default_factory=dict)
    _objects: defaultdict[IndexKey, dict[tuple[str, str], Object]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def knows(self, body: Mapping[str, Any]) -> bool:
        """Whether exactly this state of an index, child or pod is kept already, as after a write of our own."""
        meta = body["metadata"]
        kept = self.indexes.get((meta["namespace"], meta["name"])) if body["kind"] == KIND else None
        if key := index_of(body):
            kept = self._objects.get(key, {}).get((body["kind"], meta["name"]))
        return bool(kept and kept["metadata"]["resourceVersion"] == meta["resourceVersion"])

    def put_index(self, body: Mapping[str, Any]) -> IndexKey:
        """Keep an index as seen last; an older resourceVersion than the kept one changes nothing."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        if not _newer(self.indexes.get(key), body):
            self.indexes[key] = slim(body)
        return key

    def drop_index(self, key: IndexKey) -> None:
        """Forget an index; its children are forgotten as their own deletions are seen."""
        self.indexes.pop(key, None)

    def put(self, body: Mapping[str, Any]) -> IndexKey | None:
        """Keep a child or a pod as seen last; an older resourceVersion than the kept one changes nothing."""
        if key := index_of(body):
            place = (body["kind"], body["metadata"]["name"])
            if not _newer(self._objects[key].get(place), body):
                self._objects[key][place] = slim(body)
        return key

    def drop(self, body: Mapping[str, Any]) -> IndexKey | None:
        """Forget a deleted child or pod, unless another of its name has been seen since."""
        if key := index_of(body):
            place = (body["kind"], body["metadata"]["name"])
            if not _newer(self._objects[key].get(place), body):
                self._objects[key].pop(place, None)
            if not self._objects[key]:
                del self._objects[key]
        return key

    def children(self, key: IndexKey) -> dict[tuple[str, str], Object]:
        """The index's children by (kind, name), pods excluded."""
        return {k: v for k, v in self._objects.get(key, {}).items() if k[0] != "Pod"}

    def pods(self, key: IndexKey) -> list[Object]:
        """The pods of the index's workloads."""
        return [v for k, v in self._objects.get(key, {}).items() if k[0] == "Pod"]

    def pods_in(self, namespace: str) -> list[Object]:
        """The pods of all indexes of a namespace."""
        return [pod for key in self._objects if key[0] == namespace for pod in self.pods(key)]

    def replace(self, kind: str, live: Iterable[Mapping[str, Any]]) -> set[IndexKey]:
        """Make the cache of a kind equal to a fresh list; returns the indexes for which that changed something.

        The watch's relist never reports deletions, so that without this a lost one would leave a ghost.
        """
        changed: set[IndexKey] = set()
        seen: set[tuple[IndexKey, str]] = set()
        for body in live:
            if (key := index_of(body)) is None:
                continue
            seen.add((key, body["metadata"]["name"]))
            kept = self._objects[key].get((kind, body["metadata"]["name"]))
            if kept is None or kept["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
                self.put(body)
                changed.add(key)
        for key, objects in list(self._objects.items()):
            for ghost_kind, name in list(objects):
                if ghost_kind == kind and (key, name) not in seen:
                    del objects[ghost_kind, name]
                    changed.add(key)
        return changed
