"""A valid resource to start from, and changing it by a merge patch."""

import copy
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

DIGEST = "a" * 64
OTHER_DIGEST = "b" * 64


def valid_index(name: str = "products") -> Json:
    """The shortest valid index, with prices so that the rules on money have something to look at."""
    return {
        "apiVersion": "semanticsearch.io/v1alpha1",
        "kind": "SemanticSearchIndex",
        "metadata": {"name": name, "namespace": "search"},
        "spec": {
            "encoder": {
                "model": "m3e-base",
                "weights": {"image": f"registry.example/encoders/m3e-base@sha256:{DIGEST}"},
            },
            "vectorStore": {"milvus": {"endpoint": "milvus.stores.svc:19530"}},
            "catalogue": {
                "elasticsearch": {"endpoint": "https://es.stores.svc:9200", "index": "products"},
            },
            "cost": {
                "monthlyCap": "5000",
                "prices": {
                    "asOf": "2026-11-01",
                    "encoderNodeHour": "0.35",
                    "milvusNodes": {"count": 4, "nodeHour": "0.68"},
                },
            },
        },
    }


def changed(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """`base` with a JSON merge patch applied: None removes a key, a list replaces a list."""
    result = copy.deepcopy(dict(base))
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = changed(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def at(path: str, value: Any) -> Json:
    """A merge patch that sets one field: `at("spec.search.topK", 10)`."""
    patch = value
    for key in reversed(path.split(".")):
        patch = {key: patch}
    result: Json = patch
    return result
