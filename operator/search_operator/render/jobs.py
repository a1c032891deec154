"""The jobs of a release: its ConfigMap, the Jobs that fill, catch up and verify it, and its refresh."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from search_plane.release.record import ReleaseRecord

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.values import duration_of
from search_operator.render.child import (
    ATTEMPT_LABEL,
    REFRESH_ANNOTATION,
    TMP_VOLUME,
    Component,
    Images,
    Object,
    child,
    environment,
    labels,
    restricted_container,
    restricted_pod,
)
from search_operator.render.stores import (
    RELEASE_DIR,
    release_file_volume,
    snapshot_of,
    store_mounts,
    store_volumes,
)

KEEP_FINISHED_SECONDS = 7 * 24 * 3600
# The kubelet restarts the container with its own back-off (10 s to 5 min); the Job itself never gives up.
RESTARTS_BEFORE_FAILURE = 100_000
JUDGED_DIR = "/etc/search/judged"
JUDGED_FILE = "judged.jsonl"
JOB_RESOURCES: Mapping[str, Mapping[str, str]] = {
    "requests": {"cpu": "250m", "memory": "256Mi"},
    "limits": {"memory": "2Gi"},
}
"""Of each worker."""


def release_config_name(index: str, release: str) -> str:
    """Name of the ConfigMap that the jobs of a release mount."""
    return f"{index}-{release}"


def build_name(index: str, release: str) -> str:
    """Name of the Job that fills a release."""
    return f"{index}-build-{release}"


def attempt_name(index: str, component: Component, release: str, attempt: int) -> str:
    """Name of the Job that catches a release up or verifies it, for the n-th time."""
    return f"{index}-{component}-{release}-{attempt}"


def refresh_name(index: str, request: str) -> str:
    """Name of the Job that a request for a refresh gets."""
    return f"{index}-refresh-{hashlib.sha256(request.encode()).hexdigest()[:8]}"


def release_config(
    index: SemanticSearchIndex,
    record: ReleaseRecord,
    active: ReleaseRecord | None = None,
    reuse: Sequence[ReleaseRecord] = (),
) -> Object:
    """The snapshot of one release, for its jobs, and that of the active one, which it is compared with."""
    data = {
        "release.json": snapshot_of(index, record, reuse).to_json(),
        "active.json": snapshot_of(index, active).to_json() if active else "{}",
    }
    name = release_config_name(index.name, record.release)
    return child(index, "v1", "ConfigMap", name, "build", {"data": data}, record.release)


def build_job(index: SemanticSearchIndex, record: ReleaseRecord, images: Images) -> Object:
    """The Job that fills the release, a slice of the catalogue per worker; safe to kill and to run again."""
    workers = index.spec.refresh.parallelism
    indexed = {"completionMode": "Indexed", "completions": workers, "parallelism": workers}
    spec = _job_spec(index, record, images, "build", {"SLICES": workers})
    return _job(index, record, build_name(index.name, record.release), "build", {**spec, **indexed})


def attempt_job(
    index: SemanticSearchIndex, record: ReleaseRecord, images: Images, component: Component, attempt: int
) -> Object:
    """The Job that makes the collection equal to the catalogue (catchup), or measures the release (verify)."""
    name = attempt_name(index.name, component, record.release, attempt)
    judged = index.spec.rollout.gates.judged_queries if component == "verify" else None
    more = {"ACTIVE_FILE": f"{RELEASE_DIR}/active.json"} if component == "verify" else {}
    if judged:
        more["JUDGED_FILE"] = f"{JUDGED_DIR}/{JUDGED_FILE}"
    spec = _job_spec(
        index, record, images, component, more, judged.config_map_ref.name if judged else "", attempt
    )
    return _job(index, record, name, component, spec, {ATTEMPT_LABEL: str(attempt)})


def refresh_job(index: SemanticSearchIndex, record: ReleaseRecord, images: Images, request: str) -> Object:
    """The Job of a refresh that was asked for, of the active release."""
    name = refresh_name(index.name, request)
    spec = _job_spec(index, record, images, "refresh")
    body = _job(index, record, name, "refresh", spec)
    body["metadata"]["annotations"][REFRESH_ANNOTATION] = request
    return body


def refresh_cron_job(
    index: SemanticSearchIndex, record: ReleaseRecord, images: Images, *, previous: bool, suspended: bool
) -> Object:
    """The scheduled refresh of the active or the previous release; suspended until there is an active one.

    It stays suspended where full rebuilds replace it; what is retained is kept fresh in any case.
    """
    refresh = index.spec.refresh
    body = {
        "spec": {
            "schedule": refresh.schedule,
            "timeZone": refresh.time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": int(duration_of(refresh.starting_deadline).total_seconds()),
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "suspend": suspended,
            "jobTemplate": {
                "metadata": {"labels": labels(index.name, "refresh", record.release)},
                "spec": _job_spec(index, record, images, "refresh"),
            },
        }
    }
    name = f"{index.name}-refresh{'-previous' if previous else ''}"
    return child(index, "batch/v1", "CronJob", name, "refresh", body)


def _job(
    index: SemanticSearchIndex,
    record: ReleaseRecord,
    name: str,
    component: Component,
    spec: Mapping[str, Any],
    more_labels: Mapping[str, str] | None = None,
) -> Object:
    body = {"spec": {**spec, "ttlSecondsAfterFinished": KEEP_FINISHED_SECONDS}}
    made = child(index, "batch/v1", "Job", name, component, body, record.release)
    made["metadata"]["labels"] |= dict(more_labels or {})
    return made


def _job_spec(
    index: SemanticSearchIndex,
    record: ReleaseRecord,
    images: Images,
    kind: Component,
    more_environment: Mapping[str, object] | None = None,
    judged: str = "",
    attempt: int = 0,
) -> Object:
    mounts = store_mounts(index)
    volumes = [release_file_volume(release_config_name(index.name, record.release)), *store_volumes(index)]
    if judged:
        mounts.append({"name": "judged", "mountPath": JUDGED_DIR, "readOnly": True})
        # Without it the job still measures the rest, and says that nobody could judge.
        volumes.append({"name": "judged", "configMap": {"name": judged, "optional": True}})
    container = restricted_container(
        {
            "name": kind,
            "image": index.spec.search.image or images.plane,
            "imagePullPolicy": images.pull_policy,
            "args": ["job", kind],
            "env": environment({"RELEASE_FILE": f"{RELEASE_DIR}/release.json", **(more_environment or {})}),
            "resources": JOB_RESOURCES,
            "terminationMessagePolicy": "File",
            "volumeMounts": mounts,
        }
    )
    pod = restricted_pod(
        {
            "serviceAccountName": f"{index.name}-jobs",
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [TMP_VOLUME, *volumes],
        }
    )
    found = labels(index.name, kind, record.release) | ({ATTEMPT_LABEL: str(attempt)} if attempt else {})
    return {
        "backoffLimit": RESTARTS_BEFORE_FAILURE,
        "template": {"metadata": {"labels": found}, "spec": pod},
    }
