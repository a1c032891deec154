"""Which field asks for another release: every field of the schema is tried, and the release's name tells."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from search_operator.api import SemanticSearchIndex, Spec, desired_release
from search_operator.api.reference import FieldRow, field_rows
from search_operator.api.transitions import IMMUTABLE
from search_operator.decide.changes import IN_PLACE, Change, changes, in_place

from tests.cluster.resource_base import DIGEST, OTHER_DIGEST, Json, at, changed, valid_index

_ROWS = {row.path: row for row in field_rows()}
_FIXED = {fixed.path for fixed in IMMUTABLE}
_WINDOW = {"name": "double-11", "start": "0 18 10 11 *", "duration": "32h", "replicas": 12}

# Values that the types or the identity are particular about; any other field takes any text or number.
_VALUES: dict[str, Any] = {
    "spec.encoder.model": "m3e-small",
    "spec.encoder.weights.image": f"registry.example/w@sha256:{OTHER_DIGEST}",
    "spec.encoder.weights.sha256": OTHER_DIGEST,
    "spec.encoder.custom.pooling": "cls",
    "spec.cost.prices.asOf": "2026-12-01",
    "spec.encoder.autoscaling.prewarm": [_WINDOW],
    "spec.encoder.accelerator.tolerations": [{"operator": "Exists"}],
    "spec.search.experiment.arms": [{"mode": "semantic", "share": "1"}],
    "spec.search.entry.httpRoute.parentRefs": [{"name": "another"}],
}
# What a field needs beside it, to be read at all or so that it alone changes.
_RESOURCES = {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}
_BESIDE: dict[str, Json] = {
    "spec.encoder.resources": at("spec.encoder.resources", _RESOURCES),
    "spec.search.resources": at("spec.search.resources", _RESOURCES),
    "spec.search.reranker.resources": at("spec.search.reranker.resources", _RESOURCES),
    "spec.search.reranker.weights.persistentVolumeClaim": at(
        "spec.search.reranker.weights.persistentVolumeClaim.claimName", "weights"
    ),
    "spec.search.entry.ingress": at("spec.search.entry.ingress.host", "search.example.com"),
    "spec.search.entry.httpRoute": at("spec.search.entry.httpRoute.parentRefs", [{"name": "front"}]),
    "spec.search.log.saltSecretRef": at("spec.search.log.saltSecretRef.name", "salt"),
    "spec.cost.prices.reserved": at("spec.cost.prices.reserved", {"count": 1, "nodeHour": "0.2"}),
    "spec.cost.prices.elasticsearchNodes": at(
        "spec.cost.prices.elasticsearchNodes", {"count": 3, "nodeHour": "0.5"}
    ),
    "spec.cost.openCost": at("spec.cost.openCost.url", "http://opencost.opencost.svc:9003"),
    "spec.backup": at("spec.backup.destination", "s3://backups/products"),
    "spec.rollout.gates.judgedQueries": at("spec.rollout.gates.judgedQueries.configMapRef.name", "judged"),
    "spec.encoder.weights.persistentVolumeClaim": at(
        "spec.encoder.weights.persistentVolumeClaim.claimName", "weights"
    ),
}
_RELEASE_FIELDS = {
    "spec.encoder.model",
    "spec.encoder.revision",
    "spec.encoder.weights.image",
    "spec.encoder.weights.sha256",
    "spec.encoder.custom.dimension",
    "spec.encoder.custom.pooling",
    "spec.encoder.custom.normalize",
    "spec.encoder.custom.queryPrefix",
    "spec.encoder.custom.documentPrefix",
    "spec.encoder.maxTokens",
    "spec.encoder.precision",
    "spec.vectorStore.milvus.shards",
    "spec.vectorStore.milvus.replicas",
    "spec.vectorStore.milvus.index.metric",
    "spec.vectorStore.milvus.index.m",
    "spec.vectorStore.milvus.index.efConstruction",
    "spec.catalogue.elasticsearch.textTemplate",
}


def _spec(*patches: Json) -> Spec:
    index = valid_index()
    for patch in patches:
        index = changed(index, patch)
    return SemanticSearchIndex.parse(index).spec


def _leaves() -> Iterator[FieldRow]:
    """Fields with a value of their own; lists and maps are one value."""
    yield from (row for row in _ROWS.values() if row.kind != "object" and "[]" not in row.path)


def _other(row: FieldRow, now: Any) -> Any:
    if row.path in _VALUES:
        return _VALUES[row.path]
    if row.kind.startswith("`"):
        return next((v for v in row.kind.replace("`", "").split(", ") if v != now), now)
    if row.kind == "boolean":
        return not now
    if row.kind.startswith("integer"):
        low, high = (int(part) for part in row.kind.removeprefix("integer, ").split(" to "))
        return next(value for value in range(low, high) if value != now)
    return {"map": {"cpu": "9"}, "list": ["a, b"]}.get(row.kind, f"{now or ''}x")


def _value(spec: Spec, path: str) -> Any:
    value: Any = {"spec": spec.model_dump(by_alias=True)}
    for name in path.split("."):
        value = None if value is None else value.get(name)
    return value


def _walked(row: FieldRow) -> tuple[Spec, Spec, tuple[Change, ...]]:
    """The base, the base with only that field changed, and what is said about it."""
    beside = [patch for start, patch in _BESIDE.items() if row.path.startswith(start)]
    base = _spec(at("spec.encoder.custom", {"normalize": True}), *beside)
    patch = at(row.path, _other(row, _value(base, row.path)))
    other = _spec(at("spec.encoder.custom", {"normalize": True}), *beside, patch)
    return base, other, changes(base, other)


@pytest.mark.parametrize("row", list(_leaves()), ids=lambda row: row.path)
def test_a_field_is_said_to_start_a_release_when_it_does(row: FieldRow) -> None:
    base, other, found = _walked(row)
    if base == other:
        assert row.kind.count("`") == 2, f"{row.path} was not changed"
        return
    assert [row.path == change.path or row.path.startswith(f"{change.path}.") for change in found] == [True]
    (change,) = found
    if row.path in _FIXED or row.served == "refused":
        assert change.effect == "Refused"
        return
    moved = desired_release(base) != desired_release(other)
    assert moved is (row.path in _RELEASE_FIELDS)
    assert change.effect == ("NewRelease" if moved else "InPlace")
    # And so it is on the way back, as for a reverted commit.
    assert [back.effect for back in changes(other, base)] == [change.effect]
    assert change.why


def test_the_walk_meets_the_whole_schema() -> None:
    met = {row.path for row in _leaves() if _walked(row)[2]}
    assert met >= _RELEASE_FIELDS | _FIXED
    assert len(met) > 90


def test_every_field_has_a_word_on_why_it_changes_no_release() -> None:
    assert all(in_place(path) for path in _ROWS)
    assert set(IN_PLACE) <= set(_ROWS)
    with pytest.raises(KeyError):
        in_place("status.phase")


_OURS = {"model": "ours", "custom": {"dimension": 768, "pooling": "mean"}, "maxTokens": 512}
_PINNED = {"image": "localhost/team/w:v1", "sha256": DIGEST}
_SPECS = {
    "base": _spec(),
    "known": _spec(at("spec.encoder.model", "text2vec-base-chinese")),
    "described": _spec(at("spec.encoder", _OURS)),
    "described-anew": _spec(at("spec.encoder", {**_OURS, "model": "ours/v2", "maxTokens": 64})),
    "own-length-spelled-out": _spec(at("spec.encoder.maxTokens", 512)),
    "pinned": _spec(at("spec.encoder.weights", _PINNED)),
    "baked-in": _spec(at("spec.encoder.weights", {"image": None, "bakedIn": {}, "sha256": DIGEST})),
    "other-weights": _spec(at("spec.encoder.weights.image", f"registry.example/w@sha256:{OTHER_DIGEST}")),
    "lower-m": _spec(at("spec.vectorStore.milvus.index", {"m": 32})),
    "one-replica": _spec(at("spec.vectorStore.milvus", {"replicas": 1, "search": {"ef": 200}})),
    "ef": _spec(at("spec.vectorStore.milvus.search.ef", 256), at("spec.search.topK", 50)),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(_SPECS, 2)))
def test_some_change_starts_a_release_exactly_when_another_one_is_asked_for(old: str, new: str) -> None:
    """Also when several fields change at once, and some of them mean nothing alone."""
    one, other = _SPECS[old], _SPECS[new]
    started = [change.path for change in changes(one, other) if change.effect == "NewRelease"]
    assert bool(started) == (desired_release(one) != desired_release(other)), started


def test_nothing_is_said_of_what_is_equal() -> None:
    assert changes(_spec(), _spec()) == ()


def test_a_change_is_told_as_it_is_written() -> None:
    (change,) = changes(_spec(), _spec(at("spec.encoder.custom", {"queryPrefix": "查询："})))
    assert change.path == "spec.encoder.custom"
    assert (change.before, change.after) == ("", '{"queryPrefix": "查询："}')
    assert "fingerprint" in change.why


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (at("spec.encoder.precision", "fp32"), "fingerprint"),
        (at("spec.vectorStore.milvus.index.m", 32), "graph"),
        (at("spec.vectorStore.milvus.shards", 8), "when a collection is made"),
        (at("spec.vectorStore.milvus.replicas", 1), "read outage"),
        (at("spec.vectorStore.milvus.search.ef", 256), "between two queries"),
        (at("spec.encoder.weights.image", f"mirror.example/w@sha256:{DIGEST}"), "from another place"),
        (at("spec.vectorStore.milvus.endpoint", "other:19530"), "create another index"),
        (at("spec.slo", {"p95": "100ms"}), "not served"),
    ],
)
def test_the_reason_fits_the_field(patch: Json, why: str) -> None:
    (change,) = changes(_spec(), _spec(patch))
    assert why in change.why


def test_nothing_is_fixed_before_the_first_release() -> None:
    other = _spec(at("spec.vectorStore.milvus.endpoint", "other:19530"))
    assert [change.effect for change in changes(_spec(), other, active=False)] == ["InPlace"]
