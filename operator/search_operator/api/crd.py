"""The CustomResourceDefinition, generated from the types."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from search_operator.api.index import GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION
from search_operator.api.schema import VALIDATIONS
from search_operator.api.spec import Spec
from search_operator.api.status import Status
from search_operator.api.transitions import root_rules

Json = dict[str, Any]

_HEADER = "# Generated from operator/search_operator/api by `python -m search_operator.api`; do not edit.\n"
_READY = '.status.conditions[?(@.type=="Ready")]'
# name, type, JSONPath, priority (1 shows with -o wide), description
_COLUMNS = (
    (
        "Ready",
        "string",
        f"{_READY}.status",
        0,
        "Whether queries are answered from the release that the spec asks for",
    ),
    (
        "Release",
        "string",
        ".status.summary.release",
        0,
        "The active release, or the candidate while there is none",
    ),
    (
        "Candidate",
        "string",
        ".status.summary.candidate",
        0,
        "The release beside it that shall take over, and how far that is",
    ),
    (
        "Progress",
        "string",
        ".status.summary.progress",
        0,
        "Progress of the first build, or of the refresh that runs",
    ),
    ("Rows", "string", ".status.summary.rows", 0, "Rows that can be searched"),
    ("Encoders", "string", ".status.summary.encoders", 0, "Ready of wanted encoders"),
    ("Cost(month)", "string", ".status.summary.monthCost", 0, "What this month comes to as it runs now"),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Age of the index"),
    ("Phase", "string", ".status.phase", 1, "What is being done"),
    ("Reason", "string", f"{_READY}.reason", 1, "Why it is ready or not"),
    ("Message", "string", f"{_READY}.message", 1, "Why, as a sentence"),
)


def custom_resource_definition() -> Json:
    """The CRD as a JSON object."""
    root: Json = {
        "type": "object",
        "description": "A product search: an encoder, a vector index of the catalogue, and a gateway.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(Spec),
            "status": _without_defaults(structural(Status)),
        },
        VALIDATIONS: [rule.as_json() for rule in root_rules()],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def crd_yaml() -> str:
    """The CRD as it lies in crds/."""
    text: str = yaml.dump(
        custom_resource_definition(), Dumper=_Plain, sort_keys=False, width=1000, default_flow_style=None
    )
    return _HEADER + text


class _Plain(yaml.SafeDumper):
    """YAML without anchors, which Kubernetes tools read badly."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def structural(model: type[BaseModel]) -> Json:
    """A model's structural schema, as a CRD demands: no references, no null, defaults that nest."""
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Json]) -> Json:
    node = _merged(schema, definitions)
    result: Json = {}
    for key in ("type", "description", "enum", "required", "minimum", "maximum"):
        if key in node:
            result[key] = node[key]
    if "const" in node:
        result["enum"] = [node["const"]]
    if node.get("x-kubernetes-int-or-string"):
        result["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if "properties" in node:
        result["properties"] = {
            name: _structural(child, definitions) for name, child in node["properties"].items()
        }
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if "items" in node:
        result["items"] = _structural(node["items"], definitions)
    for key, value in node.items():
        if key.startswith(("x-kubernetes", "min", "max")):
            result[key] = value
    default = _default(node.get("default"), result)
    # An absent list or text means an empty one; writing that into every resource would be noise.
    if default not in (None, [], ""):
        result["default"] = default
    return result


def _merged(schema: Mapping[str, Any], definitions: Mapping[str, Json]) -> Json:
    """The schema with its reference and its `X or null` folded in; rules of both sides apply."""
    node = dict(schema)
    inner: Json | None = None
    if "$ref" in node:
        inner = definitions[node.pop("$ref").rsplit("/", 1)[1]]
    elif "anyOf" in node:
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        del node["anyOf"]
        if len(options) == 1:
            inner = options[0]
        elif not node.get("x-kubernetes-int-or-string"):
            raise TypeError(f"a structural schema has no unions: {schema}")
    if inner is None:
        return node
    base = _merged(inner, definitions)
    found = [*base.get(VALIDATIONS, []), *node.get(VALIDATIONS, [])]
    return {**base, **node, **({VALIDATIONS: found} if found else {})}


def _default(value: Any, schema: Json) -> Any:
    """The default without what the schema's own properties default to: `{}` then fills itself.

    Not where the object has rules: the API server tries them on a default before it fills it.
    """
    if isinstance(value, list):
        return [_default(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    properties = schema["properties"]
    kept = {
        name: _default(item, properties[name]) for name, item in value.items() if item not in (None, [], "")
    }
    if VALIDATIONS in schema:
        return kept
    return {name: item for name, item in kept.items() if item != properties[name].get("default")}


def _without_defaults(schema: Json) -> Json:
    """A status is what the operator wrote: the API server adds nothing to it."""
    result = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in result:
        result["properties"] = {
            name: _without_defaults(child) for name, child in result["properties"].items()
        }
    if "items" in result:
        result["items"] = _without_defaults(result["items"])
    return result


def _column(name: str, kind: str, path: str, priority: int, description: str) -> Json:
    column: Json = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": priority} if priority else column
