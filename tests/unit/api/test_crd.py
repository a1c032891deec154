"""The CRD and its documentation are what the types say, and small enough."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from search_operator.api.crd import crd_yaml, custom_resource_definition, structural
from search_operator.api.reference import reference
from search_operator.api.schema import ApiModel

REPOSITORY = Path(__file__).resolve().parents[3]
CRD_FILE = REPOSITORY / "crds" / "semanticsearchindexes.yaml"
DOCUMENT = REPOSITORY / "docs" / "resource.md"
MARK = "<!-- fields -->\n\n"


def test_the_file_is_what_the_types_generate() -> None:
    assert CRD_FILE.read_text() == crd_yaml(), (
        "run: python -m search_operator.api > crds/semanticsearchindexes.yaml"
    )


def test_the_file_says_what_the_generator_means() -> None:
    assert yaml.safe_load(CRD_FILE.read_text()) == custom_resource_definition()


def test_small_enough_for_client_side_apply() -> None:
    """All annotations of an object together may have 256 KiB; kubectl keeps the whole CRD in one."""
    assert CRD_FILE.stat().st_size < 160 * 1024
    assert len(json.dumps(custom_resource_definition(), separators=(",", ":"))) < 160 * 1024


def test_the_document_lists_the_fields() -> None:
    listed = DOCUMENT.read_text().partition(MARK)[2]
    assert listed == reference(), "run: python -m search_operator.api reference, and put it below the mark"


def test_every_field_is_described_and_bounded() -> None:
    """Without bounds the API server can't estimate what a rule costs, and refuses the whole CRD."""
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path, node in _nodes(schema["properties"]["spec"], "spec"):
        assert "$ref" not in node
        assert "title" not in node
        if not path.endswith("[]"):
            assert node.get("description"), f"{path} has no description"
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node, f"{path} has no maxLength"
        if node.get("type") == "array":
            assert "maxItems" in node, f"{path} has no maxItems"
        if "additionalProperties" in node:
            assert "maxProperties" in node, f"{path} has no maxProperties"
        if node.get("type") == "integer":
            assert "minimum" in node, f"{path} has no minimum"


def test_a_union_has_no_structural_schema() -> None:
    class Either(ApiModel):
        """A model that a CRD can't express."""

        value: int | str
        """Number or text."""

    with pytest.raises(TypeError, match="no unions"):
        structural(Either)


def _nodes(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, node)]
    for name, child in node.get("properties", {}).items():
        found += _nodes(child, f"{path}.{name}")
    for child in (node.get("items"), node.get("additionalProperties")):
        if child:
            found += _nodes(child, f"{path}[]")
    return found
