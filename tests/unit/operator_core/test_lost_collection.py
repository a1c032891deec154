"""A collection lost while it is served: nothing may be queried under its name before it is whole again."""

from __future__ import annotations

from tests.unit.operator_core.world import World

GATEWAY_POD = {
    "metadata": {"name": "products-gateway-x", "labels": {"app.kubernetes.io/component": "gateway"}},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def test_a_lost_collection_is_made_anew_only_when_no_gateway_is_ready() -> None:
    world = World()
    world.settle()
    world.pods["products-gateway-x"] = GATEWAY_POD
    world.drop_collections()
    world.reconcile()
    world.tick(11)
    for _ in range(10):
        world.reconcile()
        world.tick(11)
    assert world.pointed_at == ""
    assert world.collections == {}
    (release,) = world.body["status"]["releases"]
    assert "the gateways to let go of the lost collection" in release["waitingFor"]
    del world.pods["products-gateway-x"]
    world.settle()
    assert world.serving
