"""covers(): does a live object hold what is desired, whatever others added?"""

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_operator.decide.drift import covers
from search_operator.decide.plan import desired_children
from search_operator.decide.rollout import rollout

from tests.unit.operator_core.builders import INSTALLATION, Object, sample
from tests.unit.operator_core.world import World

JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
DNS = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def rendered() -> list[Object]:
    """Every child of the production sample."""
    world = World(body=sample("production"))
    world.reconcile()
    observation = world.observe()
    return desired_children(observation, rollout(observation), INSTALLATION)


CHILDREN = rendered()


@pytest.mark.parametrize(
    ("live", "desired", "held"),
    [
        ({"a": 1, "foreign": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": 1}, False),
        ({"a": "x"}, {"a": {"b": 1}}, False),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "1000m"}}, True),
        ({"requests": {"cpu": "2"}}, {"requests": {"cpu": 2}}, True),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}, True),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1G"}}, False),
        ({"requests": {"cpu": "nonsense"}}, {"requests": {"cpu": "1"}}, False),
        ({"name": "1"}, {"name": "1000m"}, False),
        ({"env": [{"name": "B"}, {"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "1"}]}, True),
        ({"env": [{"name": "A", "value": "2"}]}, {"env": [{"name": "A", "value": "1"}]}, False),
        ({"args": ["job", "build", "x"]}, {"args": ["job", "build"]}, False),
        ({"args": ["build", "job"]}, {"args": ["job", "build"]}, False),
        (DNS, DNS, True),
        ({"ports": DNS["ports"][1:]}, DNS, False),
        ({"ports": [{"protocol": "TCP", "port": 8080}]}, {"ports": [{"protocol": "TCP", "port": 80}]}, False),
        ({"drop": ["ALL"]}, {"drop": ["ALL"]}, True),
        ({"list": "ALL"}, {"list": ["A", "L", "L"]}, False),
    ],
)
def test_table(live: Any, desired: Any, held: bool) -> None:
    assert covers(live, desired) is held


@given(JSON)
def test_everything_covers_itself(value: Any) -> None:
    assert covers(value, copy.deepcopy(value))


@given(st.sampled_from(CHILDREN), st.randoms())
def test_foreign_additions_and_order_are_no_drift(wish: Object, chance: random.Random) -> None:
    live = copy.deepcopy(wish)
    live["metadata"] |= {"resourceVersion": "7", "managedFields": [{}]}
    live["metadata"]["labels"]["theirs"] = "1"
    live["metadata"]["annotations"]["theirs"] = "1"
    live["status"] = {"readyReplicas": 3}
    if pod := live.get("spec", {}).get("template", {}).get("spec"):
        pod["containers"][0].setdefault("env", []).insert(0, {"name": "THEIRS", "value": "1"})
        pod["containers"].insert(0, {"name": "sidecar", "image": "theirs"})
        chance.shuffle(pod["containers"])
        chance.shuffle(pod["volumes"])
        pod["dnsPolicy"] = "ClusterFirst"
    assert covers(live, wish)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every scalar."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in leaves(v, (*path, k))]
    if isinstance(value, list):
        return [p for k, v in enumerate(value) for p in leaves(v, (*path, k))]
    return [path]


@given(st.sampled_from(CHILDREN), st.data())
def test_any_changed_owned_value_is_drift(wish: Object, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(leaves(wish)))
    live = copy.deepcopy(wish)
    parent = live
    for key in path[:-1]:
        parent = parent[key]
    old = parent[path[-1]]
    parent[path[-1]] = (not old) if isinstance(old, bool) else old + 1 if isinstance(old, int) else "changed"
    assert not covers(live, wish)
    del parent[path[-1]]
    assert not covers(live, wish)


def test_children_of_one_index_are_distinct() -> None:
    names = [(c["kind"], c["metadata"]["name"]) for c in CHILDREN]
    assert len(names) == len(set(names))
