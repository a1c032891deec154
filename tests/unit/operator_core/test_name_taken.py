"""An object of somebody else with a child's name is neither taken over nor passed over in silence."""

import asyncio

from search_operator.act.execute import Actor
from search_operator.decide.plan import plan
from search_operator.decide.status import status
from search_operator.decide.steps import NameTaken, Outcome, Plan
from search_operator.observe.cache import Cache
from search_operator.observe.credentials import StoreCredentials

from tests.unit.operator_core.builders import INSTALLATION
from tests.unit.operator_core.world import World


def test_a_foreign_object_stays_and_is_told() -> None:
    world = World()
    world.settle()
    service = ("Service", "products-gateway")
    world.children[service]["metadata"]["ownerReferences"] = []
    observation = world.observe()
    steps = plan(observation, INSTALLATION).steps
    assert [type(step) for step in steps] == [NameTaken]

    # The step touches neither API nor Milvus: it only fails with its sentence.
    actor = Actor(api=None, milvus=None, cache=Cache(), leading=lambda: True)  # type: ignore[arg-type]
    outcome: Outcome = asyncio.run(actor.execute(Plan(steps), observation.index, StoreCredentials()))
    (failure,) = outcome.failures
    assert (failure.reason, failure.needs_a_person) == ("NameTaken", True)

    told = {c["type"]: c for c in status(observation, outcome)["conditions"]}
    assert (told["Stalled"]["status"], told["Stalled"]["reason"]) == ("True", "NameTaken")
    assert "Service products-gateway" in told["Stalled"]["message"]
