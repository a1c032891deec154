"""The re-ranker's own pods: where their weights lie, what they run on, who may reach them, and what they cost."""

from typing import Any

import pytest
from search_operator.api.encoder import BakedWeights
from search_operator.api.reranker import BakedReranker
from search_operator.decide.capacity import Need, room
from search_operator.decide.cost import allowed_max_replicas, bill
from search_operator.observe.observation import Capacity
from search_operator.render.access import access_objects
from search_operator.render.reranker import reranker_objects

from tests.unit.operator_core.builders import INSTALLATION, Object, condition, index, merged
from tests.unit.operator_core.world import World

DIGEST = "c" * 64
ON: dict[str, Any] = {"search": {"reranker": {"enabled": True, "weights": {"bakedIn": {}, "sha256": DIGEST}}}}


def rendered(name: str = "production", **change: Any) -> tuple[Object, Object]:
    """The Deployment's spec and its only container."""
    found = reranker_objects(index(name, **merged(ON, {"search": {"reranker": change}})), INSTALLATION.images)
    assert [child["kind"] for child in found] == ["Deployment", "Service", "PodDisruptionBudget"]
    (container,) = found[0]["spec"]["template"]["spec"]["containers"]
    return found[0]["spec"], container


def environment(container: Object) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["env"]}


def test_it_is_off_by_default() -> None:
    assert reranker_objects(index("production"), INSTALLATION.images) == []
    assert not [o for o in access_objects(index("production"), "x") if "reranker" in o["metadata"]["name"]]


def test_it_runs_beside_nothing_on_the_encoders_kind_of_device() -> None:
    spec, container = rendered(maxQueueTokens=640)
    pod = spec["template"]["spec"]
    assert container["args"] == ["reranker"]
    assert container["image"] == INSTALLATION.images.plane_gpu
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["nodeSelector"] == {"accelerator": "nvidia-tesla-t4"}
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert environment(container) == {
        "RERANKER_DIR": "/reranker",
        "RERANKER_WEIGHTS": f"artefact:sha256:{DIGEST}",
        "MAX_RERANK_TOKENS": "640",
        "DEVICE": "cuda",
    }


def test_on_cpu_it_asks_for_no_device() -> None:
    spec, container = rendered(devices=0)
    pod = spec["template"]["spec"]
    assert {"nodeSelector", "tolerations"}.isdisjoint(pod)
    assert container["image"] == INSTALLATION.images.plane
    assert container["resources"]["limits"] == {"memory": "4Gi"}
    assert "DEVICE" not in environment(container)
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize(
    ("weights", "volume", "directory"),
    [
        ({"image": f"r.example/w@sha256:{DIGEST}"}, "image", "/reranker"),
        (
            {"persistentVolumeClaim": {"claimName": "w"}, "sha256": DIGEST},
            "persistentVolumeClaim",
            "/reranker",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "w", "path": "/a/b"}, "sha256": DIGEST},
            "persistentVolumeClaim",
            "/reranker/a/b",
        ),
        ({"bakedIn": {"path": "/opt/r"}, "sha256": DIGEST}, "", "/opt/r"),
    ],
)
def test_weights_come_from_where_the_spec_says(weights: Object, volume: str, directory: str) -> None:
    spec, container = rendered(weights={"bakedIn": None, "sha256": None, **weights})
    volumes = [v for v in spec["template"]["spec"]["volumes"] if v["name"] == "weights"]
    assert [volume in v for v in volumes] == ([True] if volume else [])
    told = environment(container)
    assert told["RERANKER_DIR"] == directory
    assert ("RERANKER_WEIGHTS" in told) is ("sha256" in weights)


def test_baked_in_it_does_not_lie_where_an_encoder_would() -> None:
    assert BakedReranker().path != BakedWeights().path


def test_only_gateways_reach_it() -> None:
    found = {
        o["metadata"]["name"]: o["spec"]
        for o in access_objects(index(**ON), "x")
        if o["kind"] == "NetworkPolicy"
    }
    policy = found["products-reranker"]
    (rule,) = policy["ingress"]
    component = "app.kubernetes.io/component"
    assert [f["podSelector"]["matchLabels"][component] for f in rule["from"]] == ["gateway"]
    assert "egress" not in policy
    models = found["products-gateway"]["egress"][1]["to"]
    assert [m["podSelector"]["matchLabels"][component] for m in models] == ["encoder", "reranker"]
    assert len(found["products-jobs"]["egress"][1]["to"]) == 1


def test_each_is_an_encoder_on_the_bill() -> None:
    plain, with_two = index("production").spec, index("production", **merged(ON, _replicas(2))).spec
    without, money = bill(plain, 4), bill(with_two, 4)
    assert without is not None
    assert money is not None
    assert money.hour_now - without.hour_now == 2 * 350_000
    assert (allowed_max_replicas(plain), allowed_max_replicas(with_two)) == (11, 9)


def test_a_release_does_not_take_the_devices_that_re_rankers_wait_for() -> None:
    spec, free = index("production").spec, Capacity(gpus_total=8, gpus_free=4)
    assert room(spec, free, Need(4, 0), None) == ()
    (shortage,) = room(spec, free, Need(4, 0, rerankers=1), None)
    assert "4 x nvidia.com/gpu more (and re-rankers 1)" in shortage.message
    assert room(spec, free, Need(0, 0, rerankers=9), None) == ()


def test_it_comes_and_goes_with_the_spec_and_the_index_stays_ready() -> None:
    world = World()
    world.settle()
    world.set_spec(**ON)
    world.settle()
    assert ("Deployment", "products-reranker") in world.children
    said = world.body["status"]
    assert (said["search"]["rerankersReady"], said["search"]["rerankersDesired"]) == (0, 1)
    assert "0 of 1 re-rankers are ready" in condition(said, "SearchReady")["message"]
    assert condition(said, "Ready")["status"] == "True"
    world.set_spec(search={"reranker": {"enabled": False}})
    world.settle()
    assert not [name for _, name in world.children if "reranker" in name]
    assert "rerankersDesired" not in world.body["status"]["search"]


def _replicas(count: int) -> Object:
    return {"search": {"reranker": {"replicas": count}}}
