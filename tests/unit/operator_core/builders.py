"""Observations from a few keyword arguments, around the indexes of manifests/samples."""

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from search_operator.api.derive import encoder_identity
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.plan import Installation
from search_operator.decide.rollout import desired_record
from search_operator.decide.steps import FINALIZER
from search_operator.observe.observation import CollectionView, PodView
from search_operator.render.child import Images
from search_operator.render.encoder import encoder_name
from search_plane.release.record import collection_name
from search_plane.release.report import JobReport, Reason

Object = dict[str, Any]

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
INSTALLATION = Installation(
    Images(
        "registry.example/semantic-search/plane:0.1.0",
        plane_gpu="registry.example/semantic-search/plane-gpu:0.1.0",
    ),
    "semantic-search-system",
)
START = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
UID = "11111111-2222-3333-4444-555555555555"


def sample(name: str = "products", **spec: Any) -> Object:
    """A sample as the API server would return it: with uid, generation and our finalizer; `spec` is merged in."""
    body: Object = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    body["spec"] = merged(body["spec"], spec)
    body["metadata"] |= {
        "uid": UID,
        "generation": 1,
        "resourceVersion": "1",
        "finalizers": [FINALIZER],
    }
    return body


def merged(base: Any, patch: Any) -> Any:
    """`base` with a JSON merge patch applied; nothing of either is changed."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(copy.deepcopy(base)) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def index(
    name: str = "products", *, status: Mapping[str, Any] | None = None, **spec: Any
) -> SemanticSearchIndex:
    """A parsed sample with changes to its spec and a last status."""
    return SemanticSearchIndex.parse(sample(name, **spec) | {"status": dict(status or {})})


def collection(of: SemanticSearchIndex, **changes: Any) -> CollectionView:
    """The collection of the release that `of` asks for: indexed, loaded with every replica, 2,000 rows."""
    record = desired_record(of)
    view: dict[str, Any] = {
        "name": collection_name(of.namespace, of.name, record.release),
        "record": record,
        "indexed": True,
        "index_finished": True,
        "pending_rows": 0,
        "loaded": True,
        "loading": False,
        "replicas": of.spec.vector_store.milvus.replicas,
        "rows": 2000,
    }
    return CollectionView(**(view | changes))


def pod(component: str, name: str = "", **changes: Any) -> PodView:
    """A pod of the sample that runs and is ready; an encoder is one of the fleet that the sample asks for."""
    workload = encoder_name("products", encoder_identity(index().spec)) if component == "encoder" else ""
    view: dict[str, Any] = {
        "name": name or f"{workload or f'products-{component}'}-1",
        "component": component,
        "release": "",
        "job": "",
        "phase": "Running",
        "ip": "10.0.0.1",
        "ready": True,
        "unschedulable": "",
        "waiting_reason": "",
        "waiting_message": "",
        "finished_at": "",
        "report": None,
    }
    return PodView(**(view | changes))


def report(release: str, rows: int = 2000, reason: Reason = "Completed", **changes: Any) -> JobReport:
    """How a build ended: well, unless `reason` says otherwise."""
    good = reason == "Completed"
    fields = {
        "result": "Succeeded" if good else "Failed",
        "reason": reason,
        "message": "",
        "release": release,
        "rows": rows,
        "embedded": rows,
        "id_sets_equal": good,
        "duration_seconds": 12.0,
        "rows_per_second": rows / 12.0,
        "finished_at": START,
    }
    return JobReport.model_validate(fields | changes)


def condition(said: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type; a KeyError-like failure when the status lacks it."""
    found = [c for c in said["conditions"] if c["type"] == kind]
    assert len(found) == 1, f"{kind} is in the status {len(found)} times"
    return dict(found[0])


def kinds(steps: Iterable[object]) -> list[str]:
    """The names of steps' types, in order."""
    return [type(step).__name__ for step in steps]


def kstatus(body: Mapping[str, Any]) -> str:
    """What kstatus (sigs.k8s.io/cli-utils) computes for a custom resource, by its published rules."""
    said = body.get("status") or {}
    if body["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if said.get("observedGeneration", body["metadata"]["generation"]) != body["metadata"]["generation"]:
        return "InProgress"
    told = {c["type"]: c["status"] for c in said.get("conditions", ())}
    if told.get("Reconciling") == "True":
        return "InProgress"
    if told.get("Stalled") == "True":
        return "Failed"
    if told.get("Ready", "True") == "True":
        return "Current"
    return "InProgress"
