"""What docs/resource.md tells of releases is what the operator does."""

from pathlib import Path
from typing import get_args

import pytest
from search_operator.api import SemanticSearchIndex
from search_operator.api.rollout import Gates, JudgedQueries, Rollout
from search_operator.api.status import Stage
from search_operator.cli.steps import time_limit
from search_operator.decide.gates import evaluate
from search_operator.decide.release import State
from search_operator.render.child import REFRESH_ANNOTATION

from tests.cluster.resource_base import at, changed, valid_index

REPOSITORY = Path(__file__).resolve().parents[3]
SECTION = (REPOSITORY / "docs" / "resource.md").read_text().partition("## Releases")[2].partition("\n## ")[0]
ROWS = [line for line in SECTION.splitlines() if line.startswith("| `")]


def _row(name: str) -> str:
    found = [row for row in ROWS if f"`{name}`" in row.split("|")[1]]
    assert len(found) == 1, f"{name} has {len(found)} rows"
    return found[0]


@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_stage_has_its_row_and_its_time_limit(stage: str) -> None:
    assert _row(stage).split("|")[-2].strip() == time_limit(State(stage))


def test_every_gate_has_its_row_and_its_default() -> None:
    judged = at("spec.rollout.gates.judgedQueries.configMapRef.name", "judged")
    spec = SemanticSearchIndex.parse(changed(valid_index(), judged)).spec
    for gate in evaluate(None, None, None, True, True, spec):
        assert _row(gate.name)
    for name, value in Gates().model_dump(by_alias=True, exclude_none=True).items():
        assert f"`gates.{name}` {value}" in SECTION
    drop = JudgedQueries.model_fields["max_ndcg_drop"].default
    assert f"`gates.judgedQueries.maxNdcgDrop` {drop}" in SECTION


def test_the_defaults_of_the_rollout_are_told() -> None:
    rollout = Rollout()
    assert f"`rollout.watch` ({rollout.watch})" in SECTION
    assert f"`rollout.retain` ({rollout.retain}," in SECTION
    assert f"{REFRESH_ANNOTATION}=" in SECTION
