"""Whose the custom-metrics API of the cluster is, and what to do about it: decisions only."""

import base64
from dataclasses import dataclass
from typing import Any, Literal

from search_operator.metrics_api.wire import GROUP, VERSION

Object = dict[str, Any]

API_SERVICE_NAME = f"{VERSION}.{GROUP}"
OLDER_API_SERVICE_NAME = f"v1beta1.{GROUP}"
"""The older version of the same API. The HPA controller takes one version for all metrics of the cluster, the newer
first: ours beside it would take it away from every autoscaler that lives on theirs."""
SERVICE = "semantic-search-operator-metrics"
OWNER = "semantic-search-operator"
"""The ClusterRole with which ours goes on uninstalling."""
_MANAGED_BY = "app.kubernetes.io/managed-by"
LABELS = {"app.kubernetes.io/name": "semantic-search-operator", _MANAGED_BY: "semantic-search-operator"}
Holder = Literal["Ours", "Theirs", "Nobody"]


@dataclass(frozen=True)
class Seen:
    """The two APIServices of the group, as they are; None where there is none. `owner_uid` of our ClusterRole, or ""."""

    newer: Object | None
    older: Object | None
    owner_uid: str


@dataclass(frozen=True)
class Wish:
    """What this installation wants: whether the API may be (`on`), whether an index is there for it, its authorities."""

    on: bool
    needed: bool
    namespace: str
    authorities: str


@dataclass(frozen=True)
class Create:
    """Make it; it fails if another was quicker."""

    body: Object


@dataclass(frozen=True)
class Correct:
    """Merge `body`, which names the version that was looked at."""

    reason: str
    body: Object


@dataclass(frozen=True)
class Remove:
    """Delete exactly this one."""

    reason: str
    uid: str


@dataclass(frozen=True)
class Leave:
    """Do nothing; `why` says what stands in the way, if anything does."""

    why: str = ""


Step = Create | Correct | Remove | Leave


def holder(live: Object | None, namespace: str) -> Holder:
    """Whose an APIService is: ours has our label and names our Service."""
    if live is None:
        return "Nobody"
    service = _service(live)
    named = (service.get("namespace"), service.get("name")) == (namespace, SERVICE)
    return "Ours" if named and _labelled(live) else "Theirs"


def decide(seen: Seen, wish: Wish) -> Step:
    """The one step towards what is wanted; what is another's is never touched."""
    whose = holder(seen.newer, wish.namespace)
    if seen.newer is not None and whose == "Theirs":
        mine = _our_reference(seen.newer)
        if mine is None or _service(seen.newer).get("name") == SERVICE:
            return Leave(f"{API_SERVICE_NAME} is {_whose(seen.newer)}")
        return _let_go(seen.newer, mine)
    if not wish.on:
        return _remove(seen.newer, "the metrics API is switched off")
    if seen.older is not None:
        why = f"{OLDER_API_SERVICE_NAME} is {_whose(seen.older)}"
        return _remove(seen.newer, why) if seen.newer else Leave(why)
    if seen.newer is not None:
        return _correct(seen.newer, seen.owner_uid, wish)
    if not wish.needed:
        return Leave()
    if not seen.owner_uid:
        return Leave(
            f"there is no ClusterRole {OWNER} that may be read, to own {API_SERVICE_NAME}: without an owner that would"
            " outlive the operator and hold up the deletion of namespaces; apply the operator's manifests"
        )
    return Create(api_service(seen.owner_uid, wish))


def api_service(owner_uid: str, wish: Wish) -> Object:
    """Ours, as it should be."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {
            "name": API_SERVICE_NAME,
            "labels": dict(LABELS),
            "ownerReferences": [owner_reference(owner_uid)],
        },
        "spec": _spec(wish),
    }


def owner_reference(uid: str) -> Object:
    """To the ClusterRole, which is not held up in its own deletion."""
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": OWNER, "uid": uid}


def _spec(wish: Wish) -> Object:
    return {
        "group": GROUP,
        "version": VERSION,
        "groupPriorityMinimum": 100,
        "versionPriority": 200,
        "service": {"namespace": wish.namespace, "name": SERVICE, "port": 443},
        "caBundle": base64.b64encode(wish.authorities.encode()).decode(),
    }


def _correct(live: Object, owner_uid: str, wish: Wish) -> Step:
    if live["metadata"].get("deletionTimestamp"):
        return Leave()
    wanted = _spec(wish)
    # `false` is the default, and left out by the API server.
    changed = {k: v for k, v in wanted.items() if live["spec"].get(k) != v} | (
        {"insecureSkipTLSVerify": None} if live["spec"].get("insecureSkipTLSVerify") else {}
    )
    meta: Object = {}
    # An owner that is made anew is another one, and the old reference gets ours collected.
    if owner_uid and not any(
        o.get("uid") == owner_uid for o in live["metadata"].get("ownerReferences") or ()
    ):
        meta["ownerReferences"] = [owner_reference(owner_uid)]
    if not changed and not meta:
        return Leave()
    meta["resourceVersion"] = live["metadata"]["resourceVersion"]
    what = ", ".join([*sorted(changed), *(["owner"] if "ownerReferences" in meta else [])])
    return Correct(
        f"{what} of {API_SERVICE_NAME} differs", {"metadata": meta} | ({"spec": changed} if changed else {})
    )


def _remove(live: Object | None, reason: str) -> Step:
    if live is None or live["metadata"].get("deletionTimestamp"):
        return Leave()
    return Remove(reason, live["metadata"]["uid"])


def _our_reference(live: Object) -> Object | None:
    found = (
        owner
        for owner in live["metadata"].get("ownerReferences") or ()
        if (owner.get("kind"), owner.get("name")) == ("ClusterRole", OWNER)
    )
    return next(found, None)


def _let_go(live: Object, mine: Object) -> Correct:
    """Somebody has pointed ours at their own Service; with our reference it would go when the operator is removed."""
    others = [owner for owner in live["metadata"]["ownerReferences"] if owner is not mine]
    meta = {"resourceVersion": live["metadata"]["resourceVersion"], "ownerReferences": others}
    if _labelled(live):
        meta["labels"] = {_MANAGED_BY: None}
    return Correct(f"{API_SERVICE_NAME} is {_whose(live)} now", {"metadata": meta})


def _whose(live: Object) -> str:
    service = _service(live)
    if not service:
        return "the API server's own"
    return f"served by another Service, {service.get('namespace')}/{service.get('name')}"


def _labelled(live: Object) -> bool:
    return (live["metadata"].get("labels") or {}).get(_MANAGED_BY) == LABELS[_MANAGED_BY]


def _service(live: Object) -> Object:
    return (live.get("spec") or {}).get("service") or {}
