"""Reading a resource: defaults, refusals, and that the samples mean what the demo expects."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from search_operator.api import InvalidResource, SemanticSearchIndex
from search_operator.api.encoder import Accelerator
from search_operator.api.kubernetes import Toleration
from search_operator.api.status import Status
from search_operator.api.values import duration_of

from tests.cluster.resource_base import at, changed, valid_index

REPOSITORY = Path(__file__).resolve().parents[3]
DEFAULTS = REPOSITORY / "tests" / "cluster" / "defaults.yaml"


def test_reads_metadata() -> None:
    index = SemanticSearchIndex.parse(
        {
            **valid_index(),
            "metadata": {
                "name": "products",
                "namespace": "search",
                "uid": "u-1",
                "generation": 7,
                "resourceVersion": "42",
                "finalizers": ["semanticsearch.io/cleanup"],
                "deletionTimestamp": "2026-11-22T14:00:00Z",
            },
            "status": {"activeRelease": "r-7c1f0000", "fieldOfALaterVersion": 1},
        }
    )
    assert (index.name, index.namespace, index.uid, index.generation) == ("products", "search", "u-1", 7)
    assert index.deletion_timestamp == datetime(2026, 11, 22, 14, tzinfo=UTC)
    assert index.being_deleted
    assert index.finalizers == ("semanticsearch.io/cleanup",)
    assert index.active_release == "r-7c1f0000"


def test_a_fresh_index_has_no_release() -> None:
    index = SemanticSearchIndex.parse(valid_index())
    assert index.active_release == ""
    assert not index.being_deleted


def test_the_types_default_to_what_the_api_server_fills_in() -> None:
    """An object that never met the API server means the same as one that did."""
    served = yaml.safe_load(DEFAULTS.read_text())
    assert SemanticSearchIndex.parse({"spec": served}).spec == SemanticSearchIndex.parse(valid_index()).spec


def test_the_spec_survives_being_written_and_read() -> None:
    priced = changed(valid_index(), at("spec.cost.prices.storageGiBMonth", "0.023"))
    spec = SemanticSearchIndex.parse(priced).spec
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert SemanticSearchIndex.parse({"spec": written}).spec == spec
    assert written["cost"]["prices"]["storageGiBMonth"] == "0.023"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (at("spec.encoder.model", None), "spec.encoder.model: Field required"),
        (at("spec.encoder.autoscaling.minReplicas", 0), "spec.encoder.autoscaling.minReplicas: "),
        (at("spec.vectorStore.milvus.index.type", "FLAT"), "spec.vectorStore.milvus.index.type: "),
        (at("spec.unknown", 1), "spec.unknown: "),
        (at("spec", None), "spec.encoder: Field required"),
    ],
)
def test_names_the_field_that_it_cannot_read(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidResource, match=says.replace(".", r"\.")):
        SemanticSearchIndex.parse(changed(valid_index(), change))


def test_nothing_can_be_changed() -> None:
    index = SemanticSearchIndex.parse(valid_index())
    with pytest.raises(ValidationError):
        index.spec.paused = True  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        index.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        index.status["phase"] = "x"  # type: ignore[index]


@pytest.mark.parametrize(
    ("endpoint", "uri"),
    [
        ("milvus.stores.svc:19530", "http://milvus.stores.svc:19530"),
        ("http://milvus:19530", "http://milvus:19530"),
        ("https://milvus.example.com:443", "https://milvus.example.com:443"),
    ],
)
def test_the_endpoint_as_a_uri(endpoint: str, uri: str) -> None:
    index = SemanticSearchIndex.parse(
        changed(valid_index(), at("spec.vectorStore.milvus.endpoint", endpoint))
    )
    assert index.spec.vector_store.milvus.uri == uri


def test_a_gpu_encoder_asks_for_t4_nodes() -> None:
    assert Accelerator().effective_node_selector() == {"accelerator": "nvidia-tesla-t4"}
    assert Accelerator().effective_tolerations() == (Toleration(key="nvidia.com/gpu", operator="Exists"),)


def test_a_cpu_encoder_keeps_only_what_the_user_wrote() -> None:
    assert Accelerator(count=0).effective_node_selector() == {}
    assert Accelerator(count=0).effective_tolerations() == ()
    arm = Accelerator(count=0, node_selector={"arch": "arm64"}, tolerations=(Toleration(key="arm"),))
    assert arm.effective_node_selector() == {"arch": "arm64"}
    assert arm.effective_tolerations() == (Toleration(key="arm"),)


@pytest.mark.parametrize(
    ("text", "seconds"), [("6h", 21600), ("1h30m", 5400), ("150ms", 0.15), ("90s", 90), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_of(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "6", "6 h", "1d", "-1h", "h", "1h!", "６h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration_of(text)


def test_a_status_is_written_without_what_is_absent() -> None:
    status = Status.model_validate({"phase": "Building", "releases": [{"name": "r-1", "role": "Candidate"}]})
    written = status.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
    assert written == {"phase": "Building", "releases": ({"name": "r-1", "role": "Candidate"},)}
