"""The report of an experiment: planted effects are found, absent ones are not, faults are told."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from search_plane.gateway.experiment import in_cohort
from search_plane.listening.events import Click, Exposure, Search, joined, parsed
from search_plane.listening.experiment_command import group
from search_plane.listening.experiment_report import ExperimentReport, NoExperiment, experiment_report
from search_plane.release.policy import ExperimentPolicy, RerankerPolicy

from tests.testbed.search_traffic import BETTER, EQUAL, Quality, lines, traffic
from tests.unit.listening.log_lines import search


def searches(users: int, quality: object = EQUAL, **settings: object) -> tuple[Search, ...]:
    events = traffic(users, quality, **settings)  # type: ignore[arg-type]
    read = [parsed("x", orjson.loads(line)) for line in lines(events)]
    return joined(one for one in read if isinstance(one, Exposure | Click)).searches


def verdicts(report: ExperimentReport) -> dict[str, str]:
    return {name: told.verdict for name, told in report.arms[1].differences.items()}


@pytest.fixture(scope="module")
def planted() -> tuple[Search, ...]:
    return searches(3000, BETTER)


def test_a_planted_effect_is_found(planted: tuple[Search, ...]) -> None:
    report = experiment_report(planted)
    assert [arm.name for arm in report.arms] == ["keyword", "fused"]
    assert set(verdicts(report).values()) == {"better"}
    assert report.arms[1].differences["zero_results"].value < 0
    assert report.warnings == ()
    assert report.mismatch_p is not None
    assert report.mismatch_p > 0.001


def test_the_other_arm_as_control_turns_every_sign(planted: tuple[Search, ...]) -> None:
    there, back = experiment_report(planted), experiment_report(planted, control="fused")
    assert set(verdicts(back).values()) == {"worse"}
    for name, told in there.arms[1].differences.items():
        assert back.arms[1].differences[name].value == pytest.approx(-told.value)


def test_an_absent_effect_is_not_found() -> None:
    """Each interval is wrong once in twenty logs: of these nine, two wrong ones have a chance of 7 %, four of 0.06 %."""
    told = [
        one for seed in range(3) for one in verdicts(experiment_report(searches(1000, seed=seed))).values()
    ]
    assert len(told) == 9
    assert sum(one != "not told apart" for one in told) < 4


def test_three_arms_are_each_compared_with_less_faith() -> None:
    quality = {"fused": Quality(0.5), "semantic": Quality(0.4), "keyword": Quality(0.4)}
    policy = ExperimentPolicy(name="three", arms=(("fused", 0.4), ("semantic", 0.3), ("keyword", 0.3)))
    report = experiment_report(searches(2500, quality, policy=policy))
    assert [(arm.name, arm.share) for arm in report.arms] == [
        ("keyword", 0.3),
        ("fused", 0.4),
        ("semantic", 0.3),
    ]
    assert report.confidence == pytest.approx(0.975)
    assert report.arms[1].differences["click_through"].verdict == "better"


def test_arms_that_were_not_dealt_as_planned_are_told() -> None:
    found = searches(2000, EQUAL)
    lost = [one for number, one in enumerate(found) if one.shown.arm == "fused" or number % 3]
    report = experiment_report(lost)
    assert "sample-ratio mismatch" in report.warnings[0]
    assert "for 50.0%" in report.warnings[0]


def test_few_buckets_are_told() -> None:
    assert "the intervals are too short" in experiment_report(searches(20)).warnings[0]


def test_one_arm_alone_is_its_own_control() -> None:
    rows = [search(1, bucket=n, experiment="x", arm="fused", share=0.5) for n in range(60)]
    report = experiment_report(rows)
    assert len(report.arms) == 1
    assert report.arms[0].control


def test_only_first_pages_of_users_with_a_key_count() -> None:
    row: dict[str, Any] = {"experiment": "x", "arm": "fused", "share": 1.0}
    rows = [
        search(1, bucket=1, **row),
        search(bucket=2, offset=10, **row),
        search(bucket=None, **row),
        search(bucket=3),
    ]
    assert experiment_report(rows).arms[0].searches == 1


def test_the_mean_rank_counts_the_first_click_and_nought_without() -> None:
    row: dict[str, Any] = {"experiment": "x", "arm": "fused"}
    rows = [search(rank, bucket=n, **row) for n, rank in enumerate([1, 2, None, None])]
    figures = experiment_report(rows).arms[0].figures
    assert figures["reciprocal_rank"].value == pytest.approx((1 + 0.5) / 4)
    assert figures["click_through"].value == 0.5


def test_degraded_answers_count_and_are_told() -> None:
    row: dict[str, Any] = {"experiment": "x", "arm": "fused"}
    report = experiment_report([search(bucket=1, **row), search(bucket=2, degraded=["semantic"], **row)])
    assert (report.arms[0].searches, report.arms[0].degraded) == (2, 1)


def test_the_re_ranker_s_cohort_is_compared_with_the_others() -> None:
    policy = RerankerPolicy(cohort_share=0.3)
    rows = []
    for number in range(2000):
        cohort = in_cohort(f"user-{number}", policy)
        rows.append(search(1 if number % 10 < (6 if cohort else 3) else None, bucket=number, cohort=cohort))
    report = experiment_report(rows, by="re-ranker")
    assert [arm.name for arm in report.arms] == ["as found", "re-ranked"]
    assert report.arms[1].differences["click_through"].verdict == "better"
    assert report.mismatch_p is None


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([search()], {}, "spec.search.experiment"),
        ([search(experiment="x", arm="a"), search(experiment="y", arm="a")], {}, r"several: .*say which"),
        ([search(experiment="x", arm="a")], {"name": "z"}, "--experiment z: not in the log, which has x"),
        ([search(experiment="x", arm="a")], {"control": "b"}, "--control b: no such arm; there are a"),
        ([search()], {"by": "re-ranker"}, "cohortShare"),
    ],
)  # fmt: skip
def test_what_can_t_be_compared_is_told(rows: list[Search], arguments: dict[str, str], message: str) -> None:
    with pytest.raises(NoExperiment, match=message):
        experiment_report(rows, **arguments)  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "searches.jsonl"
    path.write_bytes(b"".join(lines(traffic(600, BETTER))))
    return path


def test_the_command_tells_plots_and_gives_json(log: Path) -> None:
    picture = log.with_suffix(".png")
    run = CliRunner().invoke(group, ["report", "--log", str(log), "--plot", str(picture)])
    assert run.exit_code == 0, run.output
    assert "keyword (control)" in run.output
    assert "1 / rank of first click" in run.output
    assert picture.read_bytes()[:4] == b"\x89PNG"
    again = CliRunner().invoke(group, ["report", "--log", str(log), "--json"])
    report = ExperimentReport.model_validate_json(again.stdout)
    assert f"{report.arms[1].searches:,}" in run.output


def test_the_command_is_a_part_of_the_image_s(log: Path) -> None:
    run = [sys.executable, "-m", "search_plane", "experiment", "report"]
    told = subprocess.run([*run, "--log", str(log)], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.startswith("experiment hybrid, 2026-11-16")
    wrong = subprocess.run(
        [*run, "--log", "no-such-file"], capture_output=True, text=True, timeout=120, check=False
    )
    assert wrong.returncode == 1
    assert (
        wrong.stderr.strip()
        == "Error: no-such-file: can't be read: [Errno 2] No such file or directory: 'no-such-file'"
    )
    helped = subprocess.run([*run, "--help"], capture_output=True, text=True, timeout=120, check=True)
    assert "kubectl logs" in helped.stdout
