"""Whether the way in from outside is open, by the word of whoever serves Ingresses and routes."""

from collections.abc import Mapping
from typing import Any

from search_operator.api.entry import ParentRef
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.statement import Statement
from search_operator.observe.observation import Observation
from search_operator.render.child import Object, is_ours
from search_operator.render.entry import INGRESS, entry_key

KIND = "EntryReady"


def entry_ready(observation: Observation) -> Statement | None:
    """The entry's condition; None where the spec asks for no entry. Queries inside the cluster do not lean on it."""
    wanted = entry_key(observation.index)
    if wanted is None:
        return None
    name = " ".join(wanted)
    if problem := observation.entry.problem:
        return Statement(KIND, "False", problem.reason, problem.message)
    live = observation.child(*wanted)
    if live is None:
        return Statement(KIND, "False", "Creating", f"{name} is being created")
    if not is_ours(live, observation.index):
        message = f"{name} is there and does not belong to this index; rename or remove it"
        return Statement(KIND, "False", "NameTaken", message)
    if wanted[0] == INGRESS:
        return _ingress(name, live, observation.index)
    return _http_route(name, live, observation.index)


def _ingress(name: str, live: Object, index: SemanticSearchIndex) -> Statement:
    entry = index.spec.search.entry
    assert entry is not None
    assert entry.ingress is not None
    balancers = (live.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    addresses = [b.get("hostname") or b.get("ip") for b in balancers]
    if found := ", ".join(sorted(a for a in addresses if a)):
        return Statement(KIND, "True", "Published", f"{name} leads {entry.ingress.host} in, at {found}")
    named = f"class {entry.ingress.class_name}" if entry.ingress.class_name else "the default class"
    message = (
        f"no controller has given {name} an address yet; see whether one serves {named} (kubectl get ingressclass). "
        "Some controllers never tell theirs"
    )
    return Statement(KIND, "Unknown", "NoAddress", message)


def _http_route(name: str, live: Object, index: SemanticSearchIndex) -> Statement:
    entry = index.spec.search.entry
    assert entry is not None
    assert entry.http_route is not None
    told = (live.get("status") or {}).get("parents") or ()
    for parent in entry.http_route.parent_refs:
        answers = [t for t in told if _is_of(t.get("parentRef", {}), parent, index.namespace)]
        where = f"Gateway {parent.namespace or index.namespace}/{parent.name}"
        if not answers:
            message = (
                f"no controller has answered for {name} at {where} yet; see whether that Gateway is there"
            )
            return Statement(KIND, "False", "WaitingForController", message)
        if refused := next((why for answer in answers if (why := _refusal(answer))), None):
            reason, said = refused
            message = (
                f"{where} does not take {name}: {said}; see its listeners' hostnames and allowedRoutes, "
                "which must let this namespace in"
            )
            return Statement(KIND, "False", reason, message)
    hosts = ", ".join(entry.http_route.hostnames) or "its listeners' hosts"
    return Statement(KIND, "True", "Accepted", f"{name} leads {hosts} in")


def _is_of(told: Mapping[str, Any], parent: ParentRef, namespace: str) -> bool:
    return (told.get("name"), told.get("namespace", namespace), told.get("sectionName")) == (
        parent.name,
        parent.namespace or namespace,
        parent.section_name,
    )


def _refusal(answer: Mapping[str, Any]) -> tuple[str, str] | None:
    """(reason, message) of what a controller has against the route."""
    for condition in answer.get("conditions") or ():
        if condition.get("type") in ("Accepted", "ResolvedRefs") and condition.get("status") != "True":
            reason = condition.get("reason") or "NotAccepted"
            return str(reason), str(condition.get("message") or reason)
    known = {condition.get("type") for condition in answer.get("conditions") or ()}
    return None if "Accepted" in known else ("WaitingForController", "it has not been judged yet")
