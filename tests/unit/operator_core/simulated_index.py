"""The index itself as the API server holds it, and what people do to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.schedule import rfc3339

from tests.unit.operator_core.builders import START, Object, merged, sample


def fresh_index(name: str = "products", **spec: Any) -> Object:
    """A sample as a person has just applied it: no finalizer, no status."""
    body = sample(name, **spec)
    del body["metadata"]["finalizers"]
    return body


def copied(value: Any) -> Any:
    """A JSON value of one's own, several times as fast as copy.deepcopy."""
    return orjson.loads(orjson.dumps(value))


def applied(live: Any, wish: Any) -> Any:
    """Server-side apply as far as it matters here: maps are merged, everything else is taken over."""
    if isinstance(live, Mapping) and isinstance(wish, Mapping):
        return {**live, **{k: applied(live.get(k), v) for k, v in wish.items()}}
    return copied(wish)


@dataclass
class Resource:
    """One index, the time, and whether it has gone for good."""

    body: Object = field(default_factory=fresh_index)
    now: datetime = START
    gone: bool = False

    @property
    def index(self) -> SemanticSearchIndex:
        """The index as it is now."""
        return SemanticSearchIndex.parse(copied(self.body))

    def set_spec(self, **changes: Any) -> None:
        """A person edits the spec (a JSON merge patch)."""
        spec = merged(self.body["spec"], changes)
        if spec != self.body["spec"]:
            self.body["spec"] = spec
            self.body["metadata"]["generation"] += 1

    def ask(self, at: datetime) -> None:
        """A person asks for a refresh by the annotation."""
        annotations = self.body["metadata"].setdefault("annotations", {})
        annotations["semanticsearch.io/refresh-requested-at"] = rfc3339(at)

    def delete_index(self) -> None:
        """A person deletes the index."""
        self.body["metadata"].setdefault("deletionTimestamp", rfc3339(self.now))
        if not self.body["metadata"].get("finalizers"):
            self.gone = True
