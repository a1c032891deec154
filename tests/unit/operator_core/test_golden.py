"""The rendered children of the samples, as files to read, and rules that hold for all of them.

After a wanted change: `UPDATE_GOLDEN=1 python -m pytest tests/unit/operator_core/test_golden.py`, and read the diff.
"""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from search_operator.decide.plan import desired_children
from search_operator.decide.release import State
from search_operator.decide.rollout import rollout
from search_operator.decide.scaling import SCALER_KINDS
from search_operator.observe.observation import ScalingView
from search_plane.gateway.settings import Settings

from tests.unit.operator_core.builders import INSTALLATION, UID, Object, sample
from tests.unit.operator_core.world import World

GOLDEN = Path(__file__).parents[2] / "golden"
SAMPLES = ("production", "products")
OUR_LABELS = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/component",
    "semanticsearch.io/index",
    "semanticsearch.io/release",
    "semanticsearch.io/fingerprint",
    "semanticsearch.io/attempt",
}
# All that the search may be told, at once.
SEARCH = {
    "synonyms": ["便宜, 实惠, 性价比高", "耳麦 => 耳机"],
    "reranker": {
        "enabled": True,
        "weights": {"image": f"registry.example/rerankers/minilm@sha256:{'d' * 64}"},
    },
    "experiment": {"enabled": True, "semanticShare": "0.1"},
    "log": {"destination": "Elasticsearch", "saltSecretRef": {"name": "search-salt"}},
    "entry": {"ingress": {"host": "search.example.com", "className": "nginx", "tlsSecretName": "search-tls"}},
}
JUDGED = {"gates": {"judgedQueries": {"configMapRef": {"name": "judged-queries"}}}}


def reach(world: World, state: State) -> list[Object]:
    """What should exist once the release that is on its way, else the active one, is in that state."""
    for _ in range(40):
        observation = world.observe()
        now = rollout(observation)
        if (now.candidate or now.focus).state is state and now.decided == now.book:
            return desired_children(observation, now, INSTALLATION)
        world.reconcile()
        now = rollout(world.observe())
        if (now.candidate or now.focus).state is not state:
            world.progress()
    raise AssertionError(f"never {state}: {world.book}")


def begun(name: str, **spec: Any) -> World:
    """An index as its GitOps tool has just applied it."""
    body = sample(name, **spec)
    body["metadata"]["labels"] = {"argocd.argoproj.io/instance": "must not be copied"}
    return World(body=body)


def in_a_switch() -> World:
    """The production sample with an active and a retained release, and the spec asking for a third."""
    world = begun("production", rollout=JUDGED)
    world.settle()
    for change in ({"encoder": {"precision": "int8"}}, {"vectorStore": {"milvus": {"index": {"m": 32}}}}):
        world.set_spec(**change)
        world.reconcile()
        if "encoder" in change:
            world.settle()
    return world


BUILDING = {name: reach(begun(name), State.BUILDING) for name in SAMPLES}
ACTIVE = {name: reach(begun(name), State.ACTIVE) for name in SAMPLES}
_SWITCH = in_a_switch()
VERIFYING = reach(_SWITCH, State.VERIFYING)
SWITCHING = reach(_SWITCH, State.SWITCHING)
FRONT_DOOR = reach(begun("production", search=SEARCH), State.ACTIVE)
_SALE = begun("production")
_SALE.now = datetime(2026, 11, 10, 12, tzinfo=UTC)
IN_WINDOW = reach(_SALE, State.ACTIVE)
BY_CPU = reach(replace(begun("production"), scaling=ScalingView("Absent")), State.ACTIVE)
BY_KEDA = {
    source: reach(
        replace(
            begun("production", encoder={"autoscaling": {"mode": "keda", **address}}),
            scaling=ScalingView("Ours", knows_metric=True, keda=True),
        ),
        State.ACTIVE,
    )
    for source, address in (
        ("encoders", {}),
        ("prometheus", {"prometheusAddress": "http://prometheus.monitoring.svc:9090"}),
    )
}
GOLDEN_FILES = {
    **{f"{name}-building": found for name, found in BUILDING.items()},
    **{f"{name}-active": found for name, found in ACTIVE.items()},
    "production-switching": SWITCHING,
    "production-front-door": FRONT_DOOR,
    "production-in-window": [c for c in IN_WINDOW if c["kind"] == "HorizontalPodAutoscaler"],
    "production-by-cpu": [c for c in BY_CPU if c["kind"] in SCALER_KINDS],
    **{
        f"production-by-keda-{source}": [
            c for c in found if c["kind"] in SCALER_KINDS or c["metadata"]["name"] == "products-encoder"
        ]
        for source, found in BY_KEDA.items()
    },
}
EVERY = [child for found in (*GOLDEN_FILES.values(), VERIFYING) for child in found]


def the(found: list[Object], kind: str, part: str = "") -> Object:
    """The one child of a kind whose name holds `part`."""
    hits = [c for c in found if c["kind"] == kind and part in c["metadata"]["name"]]
    assert len(hits) == 1
    return hits[0]


def pod_of(child: Object) -> Object | None:
    """The pod spec of a workload."""
    spec = child.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return template["spec"] if template else None


PODS = [pod for child in EVERY if (pod := pod_of(child))]


@pytest.mark.parametrize("name", sorted(GOLDEN_FILES))
def test_rendered_children_are_those_of_the_golden_file(name: str) -> None:
    found = GOLDEN_FILES[name]
    text = yaml.safe_dump_all(found, sort_keys=True, allow_unicode=True, width=110, explicit_start=True)
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, "see this file's first lines on how to update"


def test_in_a_switch_three_releases_stand_side_by_side() -> None:
    """Active and previous with a fleet each, the candidate on the active one's, and gateways told of both."""
    data = the(SWITCHING, "ConfigMap", "-active")["data"]
    named = {key: json.loads(data[key]) for key in ("release.json", "next.json", "releases.json")}
    book = named["releases.json"]
    parts = {part: book[part]["record"]["release"] for part in ("active", "candidate", "previous")}
    assert named["release.json"]["release"] == parts["active"]
    assert named["next.json"]["release"] == parts["candidate"]
    assert named["release.json"]["fingerprint"] == named["next.json"]["fingerprint"]
    assert len(set(parts.values())) == 3
    sizes = [
        (c["spec"]["minReplicas"], c["spec"]["maxReplicas"])
        for c in SWITCHING
        if c["kind"] == "HorizontalPodAutoscaler"
    ]
    # All 12 are allowed by the cap: the retained one keeps its minimum, the rest is the active one's.
    assert sorted(sizes) == [(4, 4), (4, 8)]
    for release in parts.values():
        config = the(SWITCHING, "ConfigMap", release)["data"]
        assert json.loads(config["active.json"])["release"] == parts["active"]
    mine = json.loads(the(SWITCHING, "ConfigMap", parts["candidate"])["data"]["release.json"])
    assert mine["reuse"] == [named["release.json"]["milvus"]["collection"]]
    refreshes = {c["metadata"]["name"]: c for c in SWITCHING if c["kind"] == "CronJob"}
    assert set(refreshes) == {"products-refresh", "products-refresh-previous"}
    assert [c["spec"]["suspend"] for c in refreshes.values()] == [False, False]


def test_the_verification_measures_both_releases_with_the_judged_queries() -> None:
    job = the(VERIFYING, "Job")
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "verify"
    assert job["metadata"]["labels"]["semanticsearch.io/attempt"] == "1"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env["ACTIVE_FILE"] == "/etc/search/release/active.json"
    assert env["JUDGED_FILE"] == "/etc/search/judged/judged.jsonl"
    judged = next(v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == "judged")
    assert judged["configMap"] == {"name": "judged-queries", "optional": True}


def test_a_build_is_shared_by_its_workers() -> None:
    spec = the(BUILDING["production"], "Job")["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    (container,) = spec["template"]["spec"]["containers"]
    assert {"name": "SLICES", "value": "4"} in container["env"]


def test_only_our_labels_and_one_owner() -> None:
    for child in EVERY:
        meta = child["metadata"]
        assert set(meta["labels"]) <= OUR_LABELS, meta["name"]
        assert meta["labels"]["semanticsearch.io/index"] == "products"
        assert set(meta["annotations"]) == {"semanticsearch.io/applied"}
        (owner,) = meta["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (UID, True, True)


def test_gateways_that_are_told_to_stop_have_the_time_to_answer_all_they_have() -> None:
    settings = Settings()
    pod = the(ACTIVE["production"], "Deployment", "-gateway")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > settings.drain_seconds + settings.stop_seconds
    (container,) = pod["containers"]
    probe = container["readinessProbe"]
    # Out of the Service before it stops to accept.
    assert settings.drain_seconds >= probe["periodSeconds"] * probe["failureThreshold"]
    assert not {"DRAIN_SECONDS", "STOP_SECONDS"} & {item["name"] for item in container["env"]}
    strategy = the(ACTIVE["production"], "Deployment", "-gateway")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    service = the(ACTIVE["production"], "Service", "-gateway")
    assert "sessionAffinity" not in service["spec"], "sessions spread over pods"


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ({}, {"SEARCH_LOG_DESTINATION": "Stdout"}),
        ({"destination": "None"}, {"SEARCH_LOG_DESTINATION": "None"}),
        (
            {"destination": "Elasticsearch"},
            {"SEARCH_LOG_DESTINATION": "Elasticsearch", "SEARCH_LOG_INDEX": "search-log-search-products"},
        ),
        (
            {"destination": "Elasticsearch", "index": "clicks"},
            {"SEARCH_LOG_DESTINATION": "Elasticsearch", "SEARCH_LOG_INDEX": "clicks"},
        ),
    ],
)
def test_gateways_are_told_where_to_log(log: Object, told: dict[str, str]) -> None:
    found = reach(begun("products", search={"log": log}), State.ACTIVE)
    env = the(found, "Deployment", "-gateway")["spec"]["template"]["spec"]["containers"][0]["env"]
    said = {i["name"]: i.get("value", i.get("valueFrom")) for i in env if i["name"].startswith("SEARCH_LOG_")}
    salt = said.pop("SEARCH_LOG_SALT", "")
    assert said == told
    assert len(salt) == (0 if log.get("destination") == "None" else 32)


def test_the_salt_is_only_named() -> None:
    container = the(FRONT_DOOR, "Deployment", "-gateway")["spec"]["template"]["spec"]["containers"][0]
    (salt,) = (item for item in container["env"] if item["name"] == "SEARCH_LOG_SALT")
    assert salt == {
        "name": "SEARCH_LOG_SALT",
        "valueFrom": {"secretKeyRef": {"name": "search-salt", "key": "salt"}},
    }


def test_nothing_empty_is_sent() -> None:
    def empty(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            inside = [p for k, v in value.items() for p in empty(v, f"{path}.{k}")]
            return inside + ([path] if not value and not path.endswith((".emptyDir", "podSelector")) else [])
        if isinstance(value, list):
            return [p for v in value for p in empty(v, f"{path}[]")] + ([] if value else [path])
        return [path] if value in (None, "") else []

    assert [p for child in EVERY for p in empty(child, child["kind"])] == []


def test_every_pod_is_restricted_and_has_no_token() -> None:
    # Encoder, gateway, refresh, and the build Job; in a switch two encoders and refreshes, and the verify Job; and a
    # re-ranker.
    assert len(PODS) == 2 * 4 + 2 * 3 + 5 + 6 + 4
    for pod in PODS:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        outer = pod["securityContext"]
        assert outer["runAsNonRoot"] is True
        assert outer["runAsUser"] >= 10000
        assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        allowed = {"name", "emptyDir", "configMap", "secret", "image", "persistentVolumeClaim"}
        assert all(set(volume) <= allowed for volume in pod["volumes"])
        for container in pod["containers"]:
            inner = container["securityContext"]
            assert inner["allowPrivilegeEscalation"] is False
            assert inner["readOnlyRootFilesystem"] is True
            assert inner["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= set(container["resources"])
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_production_encoder_runs_on_t4s_and_leaves_its_number_to_the_autoscaler() -> None:
    deployment = the(ACTIVE["production"], "Deployment", "-encoder-")
    assert "replicas" not in deployment["spec"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"accelerator": "nvidia-tesla-t4"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    keys = {spread["topologyKey"] for spread in pod["topologySpreadConstraints"]}
    assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    weights = next(v for v in pod["volumes"] if v["name"] == "weights")
    assert weights["image"]["reference"].startswith("registry.example/encoders/m3e-base@sha256:")


@pytest.mark.parametrize(("prices", "highest"), [(True, 11), (False, 12)])
def test_the_autoscaler_runs_from_four_to_what_the_cap_allows(prices: bool, highest: int) -> None:
    body = sample("production", **({} if prices else {"cost": None}))
    # A month of 31 days begins, in which 12 would cross the cap.
    found = reach(World(body=body, now=datetime(2026, 11, 30, 16, tzinfo=UTC)), State.PROVISIONING)
    spec = the(found, "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (4, highest)
    assert spec["scaleTargetRef"]["name"] == the(found, "Deployment", "-encoder-")["metadata"]["name"]
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] < down["stabilizationWindowSeconds"]


@pytest.mark.parametrize("name", SAMPLES)
def test_network_policies_open_only_what_is_needed(name: str) -> None:
    encoder, gateway, jobs = (the(ACTIVE[name], "NetworkPolicy", p)["spec"] for p in ("enc", "gate", "jobs"))
    for spec in (encoder, gateway, jobs):
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule["ports"] for rule in (*spec["ingress"], *spec.get("egress", ())))
    assert "egress" not in encoder
    *callers, operator = encoder["ingress"][0]["from"]
    components = {c["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for c in callers}
    assert components == {"gateway", "build", "catchup", "verify", "refresh"}
    assert all("namespaceSelector" not in caller for caller in callers)
    assert "from" not in gateway["ingress"][0]
    # The operator asks encoders for their tokens in flight, and jobs for their progress.
    assert operator == jobs["ingress"][0]["from"][0]
    assert operator == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "semantic-search-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "semantic-search-operator"}},
    }
    for spec in (gateway, jobs):
        dns, to_encoder, stores = spec["egress"]
        assert [(p["protocol"], p["port"]) for p in dns["ports"]] == [("UDP", 53), ("TCP", 53)]
        assert to_encoder["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "encoder"
        assert [p["port"] for p in stores["ports"]] == [9200, 19530]
        assert stores["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]


@pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"])
def test_selectors_match_the_pods_they_mean(kind: str) -> None:
    found = ACTIVE["production"]
    pods = [
        child["spec"].get("jobTemplate", {}).get("spec", child["spec"])["template"]["metadata"]["labels"]
        for child in (*found, *BUILDING["production"])
        if pod_of(child)
    ]
    for child in (c for c in found if c["kind"] == kind):
        spec = child["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        wanted = selector.get("matchLabels", selector)
        hits = {p["app.kubernetes.io/component"] for p in pods if wanted.items() <= p.items()}
        assert hits, child["metadata"]["name"]
        assert len(hits) == 1 or "matchExpressions" in selector


@pytest.mark.parametrize("name", SAMPLES)
def test_the_refresh_keeps_its_hours_and_never_runs_twice_at_once(name: str) -> None:
    spec = the(ACTIVE[name], "CronJob")["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("0 3 * * 1", "Asia/Shanghai")
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] == 6 * 3600
    assert spec["suspend"] is False
    assert the(BUILDING[name], "CronJob")["spec"]["suspend"] is True
    assert [c for c in ACTIVE[name] if c["kind"] == "Job"] == []
    assert the(BUILDING[name], "Job")["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_the_pointer_is_empty_until_a_release_is_active_and_secrets_are_only_named() -> None:
    empty = the(BUILDING["production"], "ConfigMap", "-active")["data"]
    assert (empty["release.json"], empty["next.json"]) == ("{}", "{}")
    pointer = the(ACTIVE["production"], "ConfigMap", "-active")["data"]["release.json"]
    assert '"collection":"search__products_r_' in pointer
    assert '"credentials_dir":"/etc/search/milvus"' in pointer
    gateway = the(ACTIVE["production"], "Deployment", "-gateway")["spec"]["template"]["spec"]
    secrets = {v["secret"]["secretName"] for v in gateway["volumes"] if "secret" in v}
    assert secrets == {"milvus", "elasticsearch", "elasticsearch-ca"}
