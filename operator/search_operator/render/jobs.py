"""The jobs of a release: its ConfigMap, the build Job and the refresh CronJob."""

from search_plane.release.record import ReleaseRecord

from search_operator.api.index import SemanticSearchIndex
from search_operator.api.values import duration_of
from search_operator.render.child import (
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


def release_config_name(index: str, release: str) -> str:
    """Name of the ConfigMap that the jobs of a release mount."""
    return f"{index}-{release}"


def build_name(index: str, release: str) -> str:
    """Name of the Job that fills a release."""
    return f"{index}-build-{release}"


def release_config(index: SemanticSearchIndex, record: ReleaseRecord) -> Object:
    """The snapshot of one release, for its jobs."""
    data = {"release.json": snapshot_of(index, record).to_json()}
    name = release_config_name(index.name, record.release)
    return child(index, "v1", "ConfigMap", name, "build", {"data": data}, record.release)


def build_job(index: SemanticSearchIndex, record: ReleaseRecord, images: Images) -> Object:
    """The Job that fills the release; safe to kill and to run again."""
    name = build_name(index.name, record.release)
    body = {
        "spec": {
            **_job_spec(index, record, images, "build"),
            "ttlSecondsAfterFinished": KEEP_FINISHED_SECONDS,
        }
    }
    return child(index, "batch/v1", "Job", name, "build", body, record.release)


def refresh_cron_job(
    index: SemanticSearchIndex, record: ReleaseRecord, images: Images, *, suspended: bool
) -> Object:
    """The scheduled refresh of the active release; suspended until there is one."""
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
    return child(index, "batch/v1", "CronJob", f"{index.name}-refresh", "refresh", body)


def _job_spec(index: SemanticSearchIndex, record: ReleaseRecord, images: Images, kind: Component) -> Object:
    container = restricted_container(
        {
            "name": kind,
            "image": index.spec.search.image or images.plane,
            "imagePullPolicy": images.pull_policy,
            "args": ["job", kind],
            "env": environment({"RELEASE_FILE": f"{RELEASE_DIR}/release.json"}),
            "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
            "terminationMessagePolicy": "File",
            "volumeMounts": store_mounts(index),
        }
    )
    pod = restricted_pod(
        {
            "serviceAccountName": f"{index.name}-jobs",
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
            "volumes": [
                TMP_VOLUME,
                release_file_volume(release_config_name(index.name, record.release)),
                *store_volumes(index),
            ],
        }
    )
    return {
        "backoffLimit": RESTARTS_BEFORE_FAILURE,
        "template": {"metadata": {"labels": labels(index.name, kind, record.release)}, "spec": pod},
    }
