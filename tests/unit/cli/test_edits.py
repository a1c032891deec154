"""What the verbs that change something write, and what they refuse to."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from search_operator.cli.edits import operations, refresh, snippet

from tests.unit.cli.conftest import Ssi
from tests.unit.cli.recorded_api import RecordedApi
from tests.unit.cli.recorded_indexes import recorded, release_named

Object = dict[str, Any]
ARGO = {"argocd.argoproj.io/tracking-id": "search:semanticsearch.io/SemanticSearchIndex:search/products"}


def _spec(api: RecordedApi) -> Object:
    return dict(api.indexes["search", "products"]["spec"])


def test_promote_approves_the_candidate_on_top_of_what_was_read(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("awaiting"))
    candidate, version = release_named(index, "Candidate"), index["metadata"]["resourceVersion"]
    result = ssi("promote", "products")
    assert result.exit_code == 0, result.output
    assert _spec(api)["rollout"]["approvedRelease"] == candidate
    assert api.patches[0][0] == {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    lines = result.stdout.splitlines()
    assert lines[0] == f'search/products: spec.rollout.approvedRelease: absent -> "{candidate}"'
    assert lines[1] == f"  {candidate} takes over now"
    committed = yaml.safe_load("\n".join(lines[3:]))
    assert committed == {"spec": {"rollout": {"approvedRelease": candidate}}}
    assert result.stderr == ""
    again = ssi("promote", "products")
    assert (again.exit_code, len(api.patches)) == (0, 1)
    assert "nothing to change" in again.stdout


@pytest.mark.parametrize(
    ("life", "says"),
    [
        ("serving", "there is no candidate to promote (releases: r-bd4de74d Active)"),
        ("switching", "rollout.promotion is Automatic"),
        ("building", "rollout.promotion is Automatic"),
    ],
)
def test_promote_says_why_there_is_nothing_to_promote(
    api: RecordedApi, ssi: Ssi, life: str, says: str
) -> None:
    api.add(recorded(life))
    result = ssi("promote", "products")
    assert (result.exit_code, result.stdout, api.patches) == (2, "", [])
    assert result.stderr.startswith("Error: ")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_candidate_is_approved_beforehand_only_by_its_name(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("switching"))
    index["spec"]["rollout"]["promotion"] = "Manual"
    candidate = release_named(index, "Candidate")
    refused = ssi("promote", "products")
    assert refused.exit_code == 2
    assert f"{candidate} is Building and has not passed its gates yet" in refused.stderr
    assert "r-00000000 is no candidate" in ssi("promote", "products", "--release", "r-00000000").stderr
    done = ssi("promote", "products", "--release", candidate)
    assert done.exit_code == 0
    assert "takes over as soon as its gates pass" in done.stdout


def test_rollback_names_the_retained_release_and_clear_removes_it(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("switching"))
    kept, active = release_named(index, "Previous"), release_named(index, "Active")
    result = ssi("rollback", "products")
    assert result.exit_code == 0, result.output
    assert _spec(api)["rollout"]["rollbackTo"] == kept
    assert f"{kept} answers within seconds" in result.stdout
    assert "answers already" in ssi("rollback", "products", "--to", active).stderr
    assert (
        f"r-00000000 is not retained; {kept} is" in ssi("rollback", "products", "--to", "r-00000000").stderr
    )
    cleared = ssi("rollback", "products", "--clear")
    assert cleared.exit_code == 0, cleared.output
    assert "rollbackTo" not in _spec(api)["rollout"]
    assert "# remove spec.rollout.rollbackTo" in cleared.stdout
    assert "nothing to change: rollout.rollbackTo is not set" in ssi("rollback", "products", "--clear").stdout
    assert "exclude each other" in ssi("rollback", "products", "--clear", "--to", kept).stderr


def test_without_a_retained_release_there_is_no_way_back(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    result = ssi("rollback", "products")
    assert result.exit_code == 2
    assert "no release is retained" in result.stderr
    assert "revert the change of the spec" in result.stderr


def test_refresh_sets_the_annotation_and_says_what_git_has_for_it(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("serving"))
    assert "annotations" not in index["metadata"]
    before = _spec(api)
    result = ssi("refresh", "products")
    assert result.exit_code == 0, result.output
    changed = api.indexes["search", "products"]
    asked = changed["metadata"]["annotations"]["semanticsearch.io/refresh-requested-at"]
    assert datetime.fromisoformat(asked) <= datetime.now(UTC)
    assert changed["spec"] == before
    assert f"requestedAt: '{asked}'" in result.stdout


def test_a_full_refresh_switches_the_mode_and_warns_that_it_stays(api: RecordedApi, ssi: Ssi) -> None:
    index = api.add(recorded("serving"))
    index["status"]["cost"]["deferred"] = ["FullRebuild"]
    result = ssi("refresh", "products", "--full")
    assert _spec(api)["refresh"] == {"mode": "Full"}
    assert "a new release is built from nothing" in result.stdout
    assert "set it back to Incremental" in result.stderr
    assert "defers full rebuilds" in result.stderr


def test_a_refresh_in_mode_full_is_told_to_be_a_rebuild() -> None:
    index = recorded("serving")
    index["spec"]["refresh"] = {"mode": "Full"}
    edit = refresh(index, datetime(2026, 11, 22, tzinfo=UTC))
    assert "built from nothing" in edit.follows
    assert [a.path[0] for a in edit.assignments] == ["metadata"]
    paths = [o["path"] for o in operations(index, edit)]
    assert paths == [
        "/metadata/resourceVersion",
        "/metadata/annotations",
        "/metadata/annotations/semanticsearch.io~1refresh-requested-at",
    ]
    assert yaml.safe_load(snippet(edit.commit)) == {
        "spec": {"refresh": {"requestedAt": "2026-11-22T00:00:00Z"}}
    }


def test_pause_and_resume(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    paused = ssi("pause", "products")
    assert paused.stdout.splitlines()[0] == "search/products: spec.paused: absent -> true"
    assert _spec(api)["paused"] is True
    assert "nothing to change: spec.paused is true already" in ssi("pause", "products").stdout
    warned = ssi("refresh", "products").stderr
    assert "spec.paused is true: none of this happens before `resume`" in warned
    assert ssi("resume", "products").exit_code == 0
    assert _spec(api)["paused"] is False


@pytest.mark.parametrize("verb", [["pause"], ["refresh"], ["refresh", "--full"]])
def test_a_dry_run_keeps_nothing_and_says_so(api: RecordedApi, ssi: Ssi, verb: list[str]) -> None:
    before = json.dumps(api.add(recorded("serving")))
    result = ssi(*verb, "products", "--dry-run")
    assert result.exit_code == 0
    assert "(dry run: nothing was kept)" in result.stdout
    assert len(api.patches) == 1
    assert json.dumps(api.indexes["search", "products"]) == before


@pytest.mark.parametrize(
    ("meta", "tool"),
    [
        ({"annotations": ARGO}, "Argo CD (application search)"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD (application shop)"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "Flux (kustomization shop)"),
    ],
)
def test_a_git_tool_that_would_revert_it_is_named(
    api: RecordedApi, ssi: Ssi, meta: Object, tool: str
) -> None:
    index = api.add(recorded("serving"))
    index["metadata"] |= meta
    assert f"Warning: {tool} manages this index; its self-heal" in ssi("pause", "products").stderr
    # The annotation is none of Git's business.
    assert "self-heal" not in ssi("refresh", "products").stderr
    assert "self-heal" in ssi("refresh", "products", "--full").stderr


def test_an_index_that_changes_meanwhile_is_read_again(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    api.moves = 2
    assert ssi("pause", "products").exit_code == 0
    assert _spec(api)["paused"] is True
    api.moves = 100
    given_up = ssi("resume", "products")
    assert given_up.exit_code == 2
    assert "has changed 5 times while it was read" in given_up.stderr
    assert _spec(api)["paused"] is True
