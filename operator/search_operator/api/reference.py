"""The field reference in docs/resource.md, generated from the CRD so that the two can't differ."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from search_operator.api.crd import Json, custom_resource_definition
from search_operator.api.schema import NOT_SERVED, VALIDATIONS
from search_operator.api.transitions import IMMUTABLE

_FIXED = {fixed.path for fixed in IMMUTABLE}
_SERVED = "yes"
REFUSED = "refused"


@dataclass(frozen=True)
class FieldRow:
    """One field: its path below the root, whether it is served, and what to know about it."""

    path: str
    kind: str
    default: str
    served: str
    meaning: str


def reference() -> str:
    """The reference tables of spec and status, as Markdown."""
    schema = _schema()
    sections = [
        f"### `spec.{name}`\n\n{_table(list(_spec_rows(name)), with_default=True)}"
        for name in schema["spec"]["properties"]
    ]
    status = [row for name, child in schema["status"]["properties"].items() for row in _rows(name, child)]
    sections.append(f"### `status`\n\n{_table(status, with_default=False)}")
    return "\n\n".join(sections) + "\n"


def field_rows() -> tuple[FieldRow, ...]:
    """Every field of the spec."""
    return tuple(row for name in _schema()["spec"]["properties"] for row in _spec_rows(name))


def _spec_rows(name: str) -> Iterator[FieldRow]:
    spec = _schema()["spec"]
    return _rows(f"spec.{name}", spec["properties"][name], name in spec["required"], served=_SERVED)


@cache
def _schema() -> Json:
    schema: Json = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"][
        "properties"
    ]
    return schema


def _rows(path: str, schema: Json, required: bool = False, *, served: str = "") -> Iterator[FieldRow]:
    here = _served(schema, served)
    meaning = schema.get("description", "")
    if path in _FIXED:
        meaning += " Immutable once a release is active."
    yield FieldRow(path, _kind(schema), _default(schema, required), here, meaning)
    inner, below = (schema["items"], f"{path}[]") if "items" in schema else (schema, path)
    for name, child in inner.get("properties", {}).items():
        # A field of something refused is refused too, whatever its own rules say.
        yield from _rows(f"{below}.{name}", child, name in inner.get("required", ()), served=here)


def _served(schema: Json, inherited: str) -> str:
    if inherited != _SERVED:
        return inherited
    for rule in schema.get(VALIDATIONS, ()):
        if NOT_SERVED in rule["message"]:
            what = rule["message"].split(f" {NOT_SERVED}")[0]
            return REFUSED if rule["rule"] in ("false", "size(self) == 0") else f"yes, but not {what}"
    return _SERVED


def _kind(schema: Json) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    kind = str(schema["type"])
    if kind == "array":
        return "list"
    if kind == "object":
        return "map" if "additionalProperties" in schema else "object"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']} to {schema['maximum']}"
    return kind


def _default(schema: Json, required: bool) -> str:
    if required:
        return "**required**"
    default: Any = schema.get("default")
    if isinstance(default, dict) and "properties" in schema:
        below = schema["properties"]
        default = {name: value for name, value in default.items() if value != below[name].get("default")}
    if default in (None, {}):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _table(rows: list[FieldRow], *, with_default: bool) -> str:
    if with_default:
        lines = ["| field | values | default | served | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| `{r.path}` | {r.kind} | {r.default} | {r.served} | {r.meaning} |" for r in rows]
    else:
        lines = ["| field | values | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{r.path}` | {r.kind} | {r.meaning} |" for r in rows]
    return "\n".join(lines)
