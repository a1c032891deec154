"""Who is in which arm: sticky, even, and independent from experiment to experiment."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from search_plane.gateway.experiment import arm_of, assigned, in_cohort
from search_plane.release.policy import ExperimentPolicy, Mode, RerankerPolicy

KEYS = [f"user-{number}" for number in range(20_000)]
THREE = ExperimentPolicy(name="ranking", arms=(("fused", 0.5), ("keyword", 0.3), ("semantic", 0.2)))


def test_each_arm_gets_its_share() -> None:
    counts = Counter(arm_of(key, THREE) for key in KEYS)
    expected = [share * len(KEYS) for _, share in THREE.arms]
    assert stats.chisquare([counts[arm] for arm, _ in THREE.arms], expected).pvalue > 0.001


def test_places_are_uniform() -> None:
    """Ten equal arms' worth of boundaries: the share below each is that share."""
    for tenth in range(1, 10):
        policy = ExperimentPolicy(name="even", arms=(("fused", tenth / 10), ("keyword", 1 - tenth / 10)))
        inside = sum(arm_of(key, policy) == "fused" for key in KEYS)
        assert stats.binomtest(inside, len(KEYS), tenth / 10).pvalue > 0.0005


def test_a_key_s_arm_is_the_same_in_another_process() -> None:
    told = "from search_plane.gateway.experiment import arm_of; from search_plane.release.policy import *;"
    told += "print([arm_of(f'用户{n}', ExperimentPolicy()) for n in range(50)])"
    elsewhere = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == str([arm_of(f"用户{n}", ExperimentPolicy()) for n in range(50)])


def test_another_experiment_deals_anew() -> None:
    first, second = (ExperimentPolicy(name=name) for name in ("one", "two"))
    table = Counter((arm_of(key, first), arm_of(key, second)) for key in KEYS)
    grid = [[table[left, right] for right in ("fused", "keyword")] for left in ("fused", "keyword")]
    assert stats.chi2_contingency(grid).pvalue > 0.001


def test_a_larger_share_of_the_first_arm_moves_nobody_out_of_it() -> None:
    small, large = (ExperimentPolicy(arms=(("fused", s), ("keyword", 1 - s))) for s in (0.1, 0.3))
    before = {key for key in KEYS if arm_of(key, small) == "fused"}
    assert before < {key for key in KEYS if arm_of(key, large) == "fused"}


@given(st.text())
def test_every_key_has_an_arm(key: str) -> None:
    thirds = ExperimentPolicy(arms=(("fused", 1 / 3), ("keyword", 1 / 3), ("semantic", 1 / 3)))
    assert arm_of(key, thirds) in {"fused", "keyword", "semantic"}
    assert arm_of(key, ExperimentPolicy(arms=(("keyword", 0.0), ("semantic", 1.0)))) == "semantic"


def test_shares_count_in_proportion_and_are_told() -> None:
    policy = ExperimentPolicy(name="x", arms=(("fused", 3), ("keyword", 1)))
    told = {assigned(key, policy) for key in KEYS[:100]}
    assert {(one.experiment, one.arm, one.share) for one in told} == {
        ("x", "fused", 0.75),
        ("x", "keyword", 0.25),
    }


@pytest.mark.parametrize(
    "arms", [(), (("fused", 0.0),), (("fused", 1.5), ("keyword", -0.5)), (("fused", float("nan")),)]
)
def test_shares_that_are_none_are_refused_by_name(arms: tuple[tuple[Mode, float], ...]) -> None:
    """So that the file with them is a bad one, and the last good policy stays in force."""
    with pytest.raises(ValueError, match=r"experiment broken: arms .*: expected shares"):
        ExperimentPolicy(name="broken", arms=arms)


def test_the_cohort_is_its_share_of_the_users_whatever_their_arm() -> None:
    policy = RerankerPolicy(cohort_share=0.2)
    inside = [key for key in KEYS if in_cohort(key, policy)]
    assert stats.binomtest(len(inside), len(KEYS), 0.2).pvalue > 0.001
    fused = sum(arm_of(key, ExperimentPolicy()) == "fused" for key in inside)
    assert stats.binomtest(fused, len(inside), 0.5).pvalue > 0.001
    assert not any(in_cohort(key, RerankerPolicy()) for key in KEYS)
