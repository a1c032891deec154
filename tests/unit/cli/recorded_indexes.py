"""Indexes with the statuses that the operator's own status() wrote, at points of their lives."""

import copy
from collections.abc import Callable
from functools import cache

from tests.unit.operator_core.builders import Object
from tests.unit.operator_core.test_golden import begun, in_a_switch
from tests.unit.operator_core.world import World


@cache
def _lives() -> dict[str, tuple[Object, tuple[Object, ...]]]:
    """By name, an index and the pods of its jobs."""
    building = begun("production")
    for _ in range(2):
        building.reconcile()
        building.progress()
    serving = begun("production")
    serving.settle()
    switching = in_a_switch()
    for _ in range(3):
        switching.reconcile()
        switching.progress()
    worlds: dict[str, World] = {"building": building, "serving": serving, "switching": switching}
    worlds["awaiting"] = _awaiting()
    worlds["failing"] = _failed(lambda r: any(g["result"] == "Failed" for g in r.get("gates", ())))
    worlds["failed"] = _failed(lambda r: r["role"] == "Failed")
    return {name: (_live(world), tuple(world.pods.values())) for name, world in worlds.items()}


def _awaiting() -> World:
    """Its candidate has passed the gates and waits for a person."""
    world = begun("production")
    world.settle()
    world.set_spec(rollout={"promotion": "Manual"}, encoder={"precision": "int8"})
    for _ in range(40):
        world.reconcile()
        if any(r.get("stage") == "AwaitingApproval" for r in world.body["status"]["releases"]):
            return world
        world.progress()
    raise AssertionError("never AwaitingApproval")


def _failed(far: Callable[[Object], bool]) -> World:
    """Its candidate finds too little, again and again, until it is so far."""
    world = begun("production")
    world.settle()
    world.measures["recall"] = 0.5
    world.set_spec(encoder={"precision": "int8"})
    for _ in range(80):
        world.reconcile()
        if any(far(r) for r in world.body["status"]["releases"]):
            return world
        world.progress()
    raise AssertionError("never so far")


def _live(world: World) -> Object:
    """As the API server has it, with the spec's default that the CRD writes and the verbs read."""
    body = copy.deepcopy(world.body)
    body["metadata"]["labels"] = {}
    return body


def recorded(life: str) -> Object:
    """An index of one's own: building, serving, switching, awaiting, failing, failed."""
    return copy.deepcopy(_lives()[life][0])


def release_named(index: Object, role: str) -> str:
    """The name of its release with that role."""
    (name,) = [r["name"] for r in index["status"]["releases"] if r["role"] == role]
    return str(name)
