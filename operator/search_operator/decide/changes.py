"""What a change of spec asks for, field by field: another release, an update in place, or something that is refused.

Nothing here lists which fields shape a release: each one is changed alone, and the release's name tells.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from search_operator.api.derive import desired_release, encoder_identity, hnsw_index
from search_operator.api.index import InvalidResource
from search_operator.api.reference import REFUSED, field_rows
from search_operator.api.schema import ApiModel
from search_operator.api.spec import Spec
from search_operator.api.transitions import IMMUTABLE

Effect = Literal["NewRelease", "InPlace", "Refused"]
_Attributes = tuple[str, ...]
_Model = TypeVar("_Model", bound=ApiModel)


@dataclass(frozen=True)
class Change:
    """One field that differs: its path as in YAML, both values as JSON (empty when absent), what follows, and why."""

    path: str
    before: str
    after: str
    effect: Effect
    why: str


IN_PLACE: Mapping[str, str] = MappingProxyType(
    {
        "spec.paused": "while true the operator changes nothing; queries are answered all the same",
        "spec.deletionPolicy": "it is read when the index is deleted",
        "spec.encoder": "the vectors stay the same",
        "spec.encoder.weights": "the same pinned weights from another place: encoders are replaced one by one",
        "spec.encoder.image": "encoders are replaced one by one; each proves its vectors before it is ready",
        "spec.encoder.batching": "encoders are replaced one by one",
        "spec.encoder.accelerator": "encoders are replaced one by one",
        "spec.encoder.resources": "encoders are replaced one by one",
        "spec.encoder.autoscaling": "encoders start or stop; the release stays",
        "spec.vectorStore": "no collection is touched",
        "spec.vectorStore.milvus.credentialsSecretRef": "pods are replaced one by one, as their volumes change",
        "spec.vectorStore.milvus.search": "gateways take it over between two queries",
        "spec.catalogue": "gateways take it over between two queries, jobs when they next start",
        "spec.catalogue.elasticsearch.credentialsSecretRef": "pods are replaced one by one, as their volumes change",
        "spec.catalogue.elasticsearch.caSecretRef": "pods are replaced one by one, as their volumes change",
        "spec.catalogue.elasticsearch.filter": "the next refresh adds and removes products; ask for one now to have "
        "it sooner",
        "spec.refresh": "it holds from the next refresh or build on",
        "spec.refresh.requestedAt": "asks for one refresh",
        "spec.rollout": "it is about how releases change, and changes none",
        "spec.rollout.rollbackTo": "a retained release answers in seconds; nothing is built",
        "spec.rollout.approvedRelease": "lets a candidate that has passed its gates take over",
        "spec.search": "gateways take it over between two queries",
        "spec.search.image": "gateways are replaced one by one",
        "spec.search.synonyms": "gateways take them over within seconds; no reindex, no release",
        "spec.search.reranker": "re-rankers start, stop or are replaced; queries keep the fused order meanwhile",
        "spec.search.log": "gateways are replaced one by one",
        "spec.search.entry": "the Ingress or HTTPRoute follows; the Service stays as it is",
        "spec.search.replicas": "gateways start or stop",
        "spec.search.resources": "gateways are replaced one by one",
        "spec.backup": "not served by this version",
        "spec.slo": "not served by this version",
        "spec.cost": "the bill and the encoders' maximum are worked out anew",
    }
)
"""Why a field changes no release, by its path or that of a field above it."""

_FIXED: Mapping[str, str] = MappingProxyType({fixed.path: fixed.remedy for fixed in IMMUTABLE})
_UNSERVED = frozenset(row.path for row in field_rows() if row.served == REFUSED)


def changes(old: Spec, new: Spec, *, active: bool = True) -> tuple[Change, ...]:
    """All fields that differ, in the order of the spec.

    `active` tells whether a release is active, without which no field is fixed. Raises InvalidResource when one of
    the specs names no encoder that there could be.
    """
    desired_release(old), desired_release(new)
    return tuple(
        _change(old, new, attributes, path, active=active) for attributes, path in _differences(old, new)
    )


def shapes_release(spec: Spec, other: Spec, attributes: _Attributes) -> bool:
    """Whether that field alone, taken from `other`, makes `spec` ask for another release.

    A field may have no meaning beside the rest of a spec, such as the name of a model that only `other` describes.
    """
    name, mixed = desired_release(spec), _name(_with(spec, attributes, _value(other, attributes)))
    return mixed is not None and mixed != name


def _change(old: Spec, new: Spec, attributes: _Attributes, path: str, *, active: bool) -> Change:
    before, after = _value(old, attributes), _value(new, attributes)

    def told(effect: Effect, why: str) -> Change:
        return Change(path, _text(before), _text(after), effect, why)

    if active and path in _FIXED:
        return told("Refused", _FIXED[path])
    if after not in (None, ()) and any(_is_below(path, unserved) for unserved in _UNSERVED):
        return told("Refused", "not served by this version")
    for spec, other in ((old, new), (new, old)):
        if shapes_release(spec, other, attributes):
            return told("NewRelease", _shape(spec, _with(spec, attributes, _value(other, attributes))))
    return told("InPlace", in_place(path))


def in_place(path: str) -> str:
    """Why a field of that path changes no release. Raises KeyError for a path that nothing is said about."""
    while path not in IN_PLACE:
        path, dot, _ = path.rpartition(".")
        if not dot:
            raise KeyError(path)
    return IN_PLACE[path]


def _shape(one: Spec, other: Spec) -> str:
    if encoder_identity(one) != encoder_identity(other):
        return "it shapes the vectors, which get another fingerprint"
    if hnsw_index(one) != hnsw_index(other):
        return "it shapes the graph over the vectors, which is built with a collection"
    if one.vector_store.milvus.shards != other.vector_store.milvus.shards:
        return "Milvus fixes it when a collection is made"
    return "Milvus changes it for a loaded collection only by a read outage"


def _differences(
    old: ApiModel, new: ApiModel, above: _Attributes = (), path: str = "spec"
) -> Iterator[tuple[_Attributes, str]]:
    """The innermost fields that differ; an object that only one side has is one field."""
    for name, field in type(old).model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        here, spelled = (*above, name), f"{path}.{field.alias or name}"
        if isinstance(before, ApiModel) and isinstance(after, ApiModel):
            yield from _differences(before, after, here, spelled)
        elif before != after:
            yield here, spelled


def _value(model: Any, attributes: _Attributes) -> Any:
    for name in attributes:
        model = getattr(model, name)
    return model


def _with(model: _Model, attributes: _Attributes, value: Any) -> _Model:
    name, *rest = attributes
    inner = _with(getattr(model, name), tuple(rest), value) if rest else value
    return model.model_copy(update={name: inner})


def _name(spec: Spec) -> str | None:
    try:
        return desired_release(spec)
    except InvalidResource:
        return None


def _is_below(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}.")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, ApiModel):
        value = value.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    elif isinstance(value, tuple):
        value = [json.loads(_text(item)) for item in value]
    return json.dumps(value, ensure_ascii=False)
