"""The way in from outside: what is rendered, when it goes, whose it is, and what is said of it."""

import dataclasses
from typing import Any

import pytest
from search_operator.decide.drift import covers
from search_operator.decide.entering import entry_ready
from search_operator.decide.plan import plan
from search_operator.decide.statement import Statement
from search_operator.decide.steps import ApplyObject, DeleteObject, NameTaken
from search_operator.observe.entry import NOT_SERVED
from search_operator.observe.observation import EntryView, Observation
from search_operator.render.entry import entry_objects

from tests.unit.operator_core.builders import INSTALLATION, Object, condition, index, merged
from tests.unit.operator_core.world import World

INGRESS = {"entry": {"ingress": {"host": "search.example.com"}}}
PARENTS = [
    {"name": "front", "namespace": "gateways", "sectionName": "http"},
    {"name": "front", "namespace": "gateways", "sectionName": "https"},
]
ROUTE = {"entry": {"httpRoute": {"hostnames": ["search.example.com"], "parentRefs": PARENTS}}}
INGRESS_KEY, ROUTE_KEY = ("Ingress", "products-entry"), ("HTTPRoute", "products-entry")


def settled(search: Object) -> World:
    """An index with that entry, at rest."""
    world = World()
    world.set_spec(search=search)
    world.settle()
    return world


def said_of(observation: Observation) -> Statement:
    found = entry_ready(observation)
    assert found is not None
    return found


def with_status(world: World, key: tuple[str, str], status: Object) -> Observation:
    """The world with the object's status as its controller would write it."""
    world.children[key]["status"] = status
    return world.observe()


def test_only_the_page_the_search_and_the_clicks_are_led_to() -> None:
    (ingress,) = entry_objects(index(search=INGRESS))
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "search.example.com"
    paths = {(p["path"], p["pathType"]) for p in rule["http"]["paths"]}
    assert paths == {("/", "Exact"), ("/search", "Exact"), ("/click", "Exact"), ("/page", "Prefix")}
    backends = {str(p["backend"]) for p in rule["http"]["paths"]}
    assert backends == {"{'service': {'name': 'products-gateway', 'port': {'name': 'http'}}}"}
    assert {"tls", "ingressClassName"}.isdisjoint(ingress["spec"])
    (route,) = entry_objects(index(search=ROUTE))
    (rule,) = route["spec"]["rules"]
    matched = {(m["path"]["value"], m["path"]["type"]) for m in rule["matches"]}
    assert matched == {("/", "Exact"), ("/search", "Exact"), ("/click", "Exact"), ("/page", "PathPrefix")}
    assert rule["backendRefs"] == [{"name": "products-gateway", "port": 80}]
    assert route["spec"]["parentRefs"] == PARENTS
    assert entry_objects(index()) == []


def test_class_certificate_and_annotations_are_passed_on_beside_our_seal() -> None:
    more = {"className": "nginx", "tlsSecretName": "tls", "annotations": {"cert-manager.io/issuer": "x"}}
    (ingress,) = entry_objects(index(search=merged(INGRESS, {"entry": {"ingress": more}})))
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["search.example.com"], "secretName": "tls"}]
    annotations = ingress["metadata"]["annotations"]
    assert set(annotations) == {"cert-manager.io/issuer", "semanticsearch.io/applied"}
    (plain,) = entry_objects(index(search=INGRESS))
    assert (
        plain["metadata"]["annotations"]["semanticsearch.io/applied"]
        != annotations["semanticsearch.io/applied"]
    )


def test_two_listeners_of_one_gateway_are_told_apart_in_drift() -> None:
    (wish,) = entry_objects(index(search=ROUTE))
    assert covers(wish, wish)
    swapped = merged(wish, {"spec": {"parentRefs": PARENTS[::-1]}})
    assert not covers(swapped, wish)
    filled = [{**p, "group": "gateway.networking.k8s.io", "kind": "Gateway"} for p in PARENTS]
    assert covers(merged(wish, {"spec": {"parentRefs": filled}}), wish)


@pytest.mark.parametrize(("search", "key"), [(INGRESS, INGRESS_KEY), (ROUTE, ROUTE_KEY)])
def test_it_is_made_mended_and_pruned(search: Object, key: tuple[str, str]) -> None:
    world = settled(search)
    assert key in world.children
    world.children[key]["spec"]["rules"] = []
    (mended,) = world.reconcile().steps
    assert isinstance(mended, ApplyObject)
    world.settle()
    world.set_spec(search={"entry": None})
    (pruned,) = world.reconcile().steps
    assert isinstance(pruned, DeleteObject)
    assert (pruned.kind, pruned.name) == key
    world.settle()
    assert key not in world.children
    assert "EntryReady" not in {c["type"] for c in world.body["status"]["conditions"]}


def test_another_kind_of_entry_replaces_the_first() -> None:
    world = settled(INGRESS)
    world.set_spec(search={"entry": {"ingress": None, **ROUTE["entry"]}})
    world.settle()
    assert ROUTE_KEY in world.children
    assert INGRESS_KEY not in world.children


def test_somebody_else_s_object_is_neither_taken_over_nor_removed() -> None:
    world = settled(INGRESS)
    world.children[INGRESS_KEY]["metadata"]["ownerReferences"] = []
    observation = world.observe()
    (step,) = plan(observation, INSTALLATION).steps
    assert isinstance(step, NameTaken)
    told = said_of(observation)
    assert (told.status, told.reason) == ("False", "NameTaken")
    assert "rename or remove it" in told.message
    world.set_spec(search={"entry": None})
    assert plan(world.observe(), INSTALLATION).steps == ()


def test_where_routes_are_not_served_the_condition_says_so_and_all_else_goes_on() -> None:
    world = World()
    world.settle()
    world.set_spec(search={**ROUTE, "replicas": 2})
    blind = dataclasses.replace(world.observe(), entry=EntryView(problem=NOT_SERVED))
    steps = plan(blind, INSTALLATION).steps
    assert [step.target for step in steps if isinstance(step, ApplyObject)] == ["Deployment/products-gateway"]
    told = said_of(blind)
    assert (told.status, told.reason, told.stalls) == ("False", "NotServed", False)
    assert "install the Gateway API" in told.message
    assert "search.entry.ingress" in told.message


def test_a_route_that_can_not_be_read_for_the_moment_is_not_removed() -> None:
    world = settled(ROUTE)
    blind = dataclasses.replace(world.observe(), entry=EntryView(problem=NOT_SERVED))
    assert plan(blind, INSTALLATION).steps == ()


def test_an_ingress_is_ready_once_its_controller_has_published_an_address() -> None:
    world = settled(merged(INGRESS, {"entry": {"ingress": {"className": "nginx"}}}))
    told = said_of(world.observe())
    assert (told.status, told.reason) == ("Unknown", "NoAddress")
    assert "class nginx" in told.message
    address = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    told = said_of(with_status(world, INGRESS_KEY, address))
    assert (told.status, told.reason) == ("True", "Published")
    assert "203.0.113.7" in told.message


def _parent(section: str, *conditions: tuple[str, str, str]) -> Object:
    ref = {"name": "front", "namespace": "gateways", "sectionName": section}
    said = [{"type": t, "status": s, "reason": r, "message": r} for t, s, r in conditions]
    return {"parentRef": ref, "controllerName": "example.com/gateway", "conditions": said}


_GOOD = (("Accepted", "True", "Accepted"), ("ResolvedRefs", "True", "ResolvedRefs"))


@pytest.mark.parametrize(
    ("parents", "status", "reason"),
    [
        ([], "False", "WaitingForController"),
        ([_parent("http", *_GOOD)], "False", "WaitingForController"),
        ([_parent("http", *_GOOD), _parent("https", *_GOOD)], "True", "Accepted"),
        (
            [_parent("http", *_GOOD), _parent("https", ("Accepted", "False", "NotAllowedByListeners"))],
            "False",
            "NotAllowedByListeners",
        ),
        (
            [
                _parent("https", *_GOOD),
                _parent("http", _GOOD[0], ("ResolvedRefs", "False", "BackendNotFound")),
            ],
            "False",
            "BackendNotFound",
        ),
    ],
)
def test_a_route_is_ready_once_every_gateway_has_taken_it(
    parents: list[Any], status: str, reason: str
) -> None:
    world = settled(ROUTE)
    told = said_of(with_status(world, ROUTE_KEY, {"parents": parents}))
    assert (told.status, told.reason) == (status, reason)
    if reason == "NotAllowedByListeners":
        assert "allowedRoutes" in told.message


def test_the_index_is_ready_whatever_the_entry_says() -> None:
    world = settled(ROUTE)
    assert condition(world.body["status"], "EntryReady")["status"] == "False"
    assert condition(world.body["status"], "Ready")["status"] == "True"
