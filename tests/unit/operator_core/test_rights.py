"""The ClusterRole in manifests/ lets the operator do what it does to its children, and nothing to others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from search_operator.kubernetes_api import CHILD_KINDS, OPTIONAL_KINDS, Kind

RBAC = Path(__file__).parents[3] / "manifests" / "base" / "rbac.yaml"
WATCHED = {"list", "watch", "create", "patch", "delete"}


def rules() -> Iterator[dict[str, Any]]:
    for document in yaml.safe_load_all(RBAC.read_text()):
        if document["kind"] == "ClusterRole":
            yield from document["rules"]


def verbs(kind: Kind) -> set[str]:
    group = kind.api_version.rpartition("/")[0]
    return {
        v for r in rules() if group in r["apiGroups"] and kind.plural in r["resources"] for v in r["verbs"]
    }


@pytest.mark.parametrize("kind", CHILD_KINDS, ids=lambda kind: kind.kind)
def test_children_are_made_watched_and_removed(kind: Kind) -> None:
    # An Ingress is also read by name: somebody else's is in no list of ours.
    assert verbs(kind) == WATCHED | ({"get"} if kind.kind == "Ingress" else set())


@pytest.mark.parametrize("kind", OPTIONAL_KINDS, ids=lambda kind: kind.kind)
def test_what_not_every_cluster_serves_is_not_watched(kind: Kind) -> None:
    assert verbs(kind) == WATCHED - {"watch"} | {"get"}


def test_nothing_is_named_by_a_wildcard() -> None:
    assert all("*" not in r["apiGroups"] + r["resources"] + r["verbs"] for r in rules())
