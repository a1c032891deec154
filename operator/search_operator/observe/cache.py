"""What the watches have told, kept slim: the indexes, their children, their pods."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
IndexKey = tuple[str, str]
"""(namespace, name) of an index."""
INDEX_LABEL = "semanticsearch.io/index"


def slim(body: Mapping[str, Any]) -> Object:
    """A copy without managedFields, which nothing here reads and which is half of an object's size."""
    found = dict(body)
    found["metadata"] = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    return found


def index_of(body: Mapping[str, Any]) -> IndexKey | None:
    """The index that a child or pod belongs to, by its label."""
    name = (body["metadata"].get("labels") or {}).get(INDEX_LABEL)
    return (body["metadata"]["namespace"], name) if name else None


@dataclass
class Cache:
    """Live objects by index. Only the event loop touches it."""

    indexes: dict[IndexKey, Object] = field(default_factory=dict)
    _objects: defaultdict[IndexKey, dict[tuple[str, str], Object]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def put_index(self, body: Mapping[str, Any]) -> IndexKey:
        """Keep an index as seen last."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        self.indexes[key] = slim(body)
        return key

    def drop_index(self, key: IndexKey) -> None:
        """Forget an index; its children are forgotten as their own deletions are seen."""
        self.indexes.pop(key, None)

    def put(self, body: Mapping[str, Any]) -> IndexKey | None:
        """Keep a child or a pod as seen last; an older resourceVersion than the kept one changes nothing."""
        if key := index_of(body):
            self._objects[key][body["kind"], body["metadata"]["name"]] = slim(body)
        return key

    def drop(self, body: Mapping[str, Any]) -> IndexKey | None:
        """Forget a deleted child or pod."""
        if key := index_of(body):
            self._objects[key].pop((body["kind"], body["metadata"]["name"]), None)
            if not self._objects[key]:
                del self._objects[key]
        return key

    def children(self, key: IndexKey) -> dict[tuple[str, str], Object]:
        """The index's children by (kind, name), pods excluded."""
        return {k: v for k, v in self._objects.get(key, {}).items() if k[0] != "Pod"}

    def pods(self, key: IndexKey) -> list[Object]:
        """The pods of the index's workloads."""
        return [v for k, v in self._objects.get(key, {}).items() if k[0] == "Pod"]

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
