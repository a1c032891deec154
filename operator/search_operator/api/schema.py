"""The base of the resource's types, and the markers that carry CEL rules from a field into the CRD."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"
NOT_SERVED = "is not served by this version"


class ApiModel(BaseModel):
    """An immutable part of the resource: snake_case in Python, camelCase in YAML, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Cel:
    """One CEL rule of the API server: `Annotated[str, Cel(...)]` at a field, or `rules(...)` at a model.

    `path` is relative to where the rule stands, such as `.maxReplicas`; the error then names that field.
    `expression` computes the message from the values; `message` is what stands in when that fails.
    """

    rule: str
    message: str
    path: str = ""
    expression: str = ""

    def as_json(self) -> dict[str, str]:
        """The rule as an entry of x-kubernetes-validations."""
        entry = {"rule": self.rule, "message": self.message}
        if self.path:
            entry["fieldPath"] = self.path
        if self.expression:
            entry["messageExpression"] = self.expression
        return entry

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = dict(handler(core))
        schema[VALIDATIONS] = [*schema.get(VALIDATIONS, []), self.as_json()]
        return schema


@dataclass(frozen=True)
class Marker:
    """Keywords of a structural schema that pydantic does not know, such as x-kubernetes-list-type."""

    keywords: dict[str, Any]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), **self.keywords}


def rules(*entries: Cel) -> ConfigDict:
    """`model_config` of a model with rules that look at more than one of its fields."""
    found: list[JsonValue] = [dict(entry.as_json()) for entry in entries]
    return ConfigDict(json_schema_extra={VALIDATIONS: found})


def list_map(*keys: str) -> Marker:
    """A list whose items are told apart by `keys`, so that server-side apply merges them one by one."""
    return Marker({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


def atomic() -> Marker:
    """A list that is replaced as a whole."""
    return Marker({"x-kubernetes-list-type": "atomic"})


def refused(what: str, unless: str = "false", instead: str = "remove it") -> Cel:
    """A rule that refuses what nothing reads yet; `unless` is the CEL test that lets a value pass."""
    return Cel(unless, f"{what} {NOT_SERVED}; {instead}")
