"""A collection lost while it is served: nothing may be queried under its name before it is whole again."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.operator_core.world import World


def test_a_lost_collection_is_made_anew_only_when_no_gateway_may_query_it() -> None:
    world = World()
    world.settle()
    (gateway,) = world.gateways.values()
    # It answers queries, but nobody hears from it whether it has let go.
    gateway.silent, gateway.lag = True, timedelta(hours=1)
    world.drop_collections()
    world.reconcile()
    world.tick(11)
    for _ in range(10):
        world.reconcile()
        world.tick(11)
    assert world.pointed_at == ""
    assert world.collections == {}
    (release,) = world.body["status"]["releases"]
    assert "gateways to say that they don't use its collection" in release["waitingFor"]
    gateway.silent = False
    world.reconcile()
    assert world.collections == {}, "it says that it still answers from the old one"
    world.settle()
    assert world.serving
