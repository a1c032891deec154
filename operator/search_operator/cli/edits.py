"""What a verb changes: the fields with their old and new values, as a JSON patch and as YAML to commit. Pure.

Only what a person would change, spec and the annotation of a refresh; the operator does the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from search_operator.cli.resources import Unreadable
from search_operator.decide.schedule import rfc3339
from search_operator.render.child import REFRESH_ANNOTATION

Object = Mapping[str, Any]
Path = tuple[str, ...]

_APPROVED: Path = ("spec", "rollout", "approvedRelease")
_ROLLBACK: Path = ("spec", "rollout", "rollbackTo")
_MODE: Path = ("spec", "refresh", "mode")
_REQUESTED: Path = ("spec", "refresh", "requestedAt")
_PAUSED: Path = ("spec", "paused")
_ANNOTATION: Path = ("metadata", "annotations", REFRESH_ANNOTATION)


@dataclass(frozen=True)
class Assignment:
    """One field: `after` None removes it."""

    path: Path
    before: Any
    after: Any


@dataclass(frozen=True)
class Edit:
    """What a verb does to an index: the fields that change, what follows, what to beware of, what to commit.

    No assignments: it is so already. `commit` are the fields for Git, which may be other ones than those that change.
    """

    assignments: tuple[Assignment, ...]
    follows: str
    warnings: tuple[str, ...] = ()
    commit: tuple[Assignment, ...] = ()


class Impossible(Unreadable):
    """What is asked for can't be done to this index as it is; the message says why and what can."""


def promotion(index: Object, release: str | None = None) -> Edit:
    """Let the candidate take over; with `release` also one that has not passed its gates yet. Raises Impossible."""
    candidate = _with_role(index, "Candidate")
    held = _at(index, _ROLLBACK)
    if candidate is None:
        why = f"; rollout.rollbackTo holds {held}, which `rollback --clear` removes" if held else ""
        raise Impossible(f"there is no candidate to promote{why} ({_known(index)})")
    name, stage = str(candidate["name"]), candidate.get("stage") or "Pending"
    if release and release != name:
        raise Impossible(f"{release} is no candidate; {name} is ({_known(index)})")
    if _at(index, ("spec", "rollout", "promotion")) != "Manual":
        raise Impossible(
            f"rollout.promotion is Automatic: {name} takes over by itself once its gates pass (it is {stage} now)"
        )
    if not index["status"].get("activeRelease"):
        raise Impossible(f"{name} is the first release and needs no approval (it is {stage} now)")
    if stage != "AwaitingApproval" and release is None and stage != "Switching":
        raise Impossible(
            f"{name} is {stage} and has not passed its gates yet; to approve it beforehand, add --release {name}"
        )
    when = "now" if stage in ("AwaitingApproval", "Switching") else "as soon as its gates pass"
    changed = _changed(index, {_APPROVED: name})
    return Edit(changed, f"{name} takes over {when}", _warnings(index, changed), changed)


def rollback(index: Object, to: str | None = None) -> Edit:
    """Answer from the retained release, in seconds and without gates. Raises Impossible when it is not retained."""
    kept = _with_role(index, "Previous")
    active, wish = index.get("status", {}).get("activeRelease"), to or _at(index, _ROLLBACK)
    if wish and wish == active:
        if _at(index, _ROLLBACK) == wish:
            return Edit((), f"{wish} answers, and rollout.rollbackTo holds it")
        raise Impossible(f"{wish} answers already; there is nothing to go back from ({_known(index)})")
    if kept is None:
        raise Impossible(
            f"no release is retained that could be gone back to ({_known(index)}); "
            "revert the change of the spec instead"
        )
    name = str(kept["name"])
    if to and to != name:
        raise Impossible(f"{to} is not retained; {name} is ({_known(index)})")
    changed = _changed(index, {_ROLLBACK: name})
    follows = (
        f"{name} answers within seconds, and nothing else is built while rollout.rollbackTo holds it; "
        "put the spec right, then `rollback --clear`"
    )
    return Edit(changed, follows, _warnings(index, changed), changed)


def rollback_cleared(index: Object) -> Edit:
    """Go forward again to what the rest of the spec asks for."""
    changed = _changed(index, {_ROLLBACK: None})
    follows = "the release that the rest of the spec asks for is built or caught up, passes its gates and takes over"
    return Edit(
        changed, follows if changed else "rollout.rollbackTo is not set", _warnings(index, changed), changed
    )


def refresh(index: Object, now: datetime, *, full: bool = False) -> Edit:
    """One refresh now, by the annotation, which Git tools leave alone; `full` makes it a whole new release."""
    time, mode = rfc3339(now), _at(index, _MODE) or "Incremental"
    wishes: dict[Path, Any] = {_ANNOTATION: time}
    committed: dict[Path, Any] = {_REQUESTED: time}
    if full and mode != "Full":
        wishes[_MODE] = committed[_MODE] = "Full"
    rebuilt = full or mode == "Full"
    follows = "what has changed in the catalogue is embedded again, in the active release"
    if rebuilt:
        follows = "a new release is built from nothing, passes its gates and takes over"
    elif _with_role(index, "Failed"):
        follows += "; the failed release is tried again"
    changed = _changed(index, wishes)
    warnings = list(_warnings(index, changed))
    if full and mode != "Full":
        warnings.append(
            "refresh.mode stays Full, so that each scheduled refresh is a full rebuild too; once the candidate "
            "is on its way set it back to Incremental"
        )
    if rebuilt and "FullRebuild" in ((index.get("status") or {}).get("cost") or {}).get("deferred", ()):
        warnings.append(
            "the guard defers full rebuilds for the cap's sake; it begins when there is money again"
        )
    if not (index.get("status") or {}).get("activeRelease") and not _with_role(index, "Failed"):
        warnings.append("there is no active release yet; the first one is filled from the catalogue as it is")
    return Edit(changed, follows, tuple(warnings), _changed(index, committed))


def pause(index: Object, *, paused: bool) -> Edit:
    """Hold back every change, or go on."""
    changed = _changed(index, {_PAUSED: paused})
    follows = (
        "the operator changes nothing; what runs goes on running, and the HPA goes on scaling"
        if paused
        else "the operator goes on, and first repairs what has changed meanwhile"
    )
    already = f"spec.paused is {str(paused).lower()} already"
    return Edit(changed, follows if changed else already, _warnings(index, changed, pausing=True), changed)


def operations(index: Object, edit: Edit) -> list[dict[str, Any]]:
    """The edit as a JSON patch that fails when the index is no longer the one that was read."""
    version = index["metadata"]["resourceVersion"]
    found: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": version}]
    made: set[Path] = set()
    for each in edit.assignments:
        for depth in range(1, len(each.path)):
            parent = each.path[:depth]
            if _at(index, parent) is None and parent not in made:
                found.append({"op": "add", "path": _pointer(parent), "value": {}})
                made.add(parent)
        if each.after is None:
            found.append({"op": "remove", "path": _pointer(each.path)})
        else:
            found.append({"op": "add", "path": _pointer(each.path), "value": each.after})
    return found


def snippet(assignments: Sequence[Assignment]) -> str:
    """The fields as YAML to commit; empty for none. What is to be removed stands in a comment."""
    tree: dict[str, Any] = {}
    for each in assignments:
        if each.after is not None:
            place = tree
            for key in each.path[:-1]:
                place = place.setdefault(key, {})
            place[each.path[-1]] = each.after
    gone = "".join(f"# remove {dotted(a.path)}\n" for a in assignments if a.after is None)
    return gone + (yaml.safe_dump(tree, sort_keys=False, allow_unicode=True) if tree else "")


def dotted(path: Path) -> str:
    """spec.rollout.rollbackTo; an annotation in brackets."""
    if path == _ANNOTATION:
        return f"metadata.annotations[{REFRESH_ANNOTATION}]"
    return ".".join(path)


def git_tool(index: Object) -> str:
    """Who applies this object from Git, as its labels and annotations say; empty for nobody that is known."""
    meta = index["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    if tracked := annotations.get("argocd.argoproj.io/tracking-id"):
        return f"Argo CD (application {str(tracked).split(':', 1)[0]})"
    if instance := labels.get("argocd.argoproj.io/instance"):
        return f"Argo CD (application {instance})"
    if name := labels.get("kustomize.toolkit.fluxcd.io/name"):
        return f"Flux (kustomization {name})"
    if name := labels.get("helm.toolkit.fluxcd.io/name"):
        return f"Flux (release {name})"
    return ""


def _warnings(index: Object, changed: Sequence[Assignment], *, pausing: bool = False) -> tuple[str, ...]:
    found = []
    # An annotation that Git does not name is left alone.
    if any(each.path[0] == "spec" for each in changed) and (tool := git_tool(index)):
        found.append(
            f"{tool} manages this index; its self-heal puts back what Git says, so commit the printed lines"
        )
    if changed and not pausing and _at(index, _PAUSED):
        found.append("spec.paused is true: none of this happens before `resume`")
    return tuple(found)


def _changed(index: Object, wishes: Mapping[Path, Any]) -> tuple[Assignment, ...]:
    found = (Assignment(path, _at(index, path), after) for path, after in wishes.items())
    return tuple(each for each in found if each.before != each.after)


def _at(index: Object, path: Path) -> Any:
    value: Any = index
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _pointer(path: Path) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def _releases(index: Object) -> Sequence[Object]:
    return (index.get("status") or {}).get("releases") or ()


def _with_role(index: Object, role: str) -> Object | None:
    return next((release for release in _releases(index) if release.get("role") == role), None)


def _known(index: Object) -> str:
    told = [f"{release.get('name')} {release.get('role')}" for release in _releases(index)]
    return f"releases: {', '.join(told) or 'none'}"
