"""The benchmark's figures are taken from the right queries, and its goals can be missed."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.report import Row
from benchmarks.switch_check import Verdict
from benchmarks.switch_log import ANSWER, BY_WORDS, Answers
from benchmarks.switch_result import busy_spans, last_moved, plot, rows_of, within
from benchmarks.switch_run import Course, Move, planned

BLUE, GREEN = b"r-b1b1b1b1", b"r-9e9e9e9e"
# At rest until 100, a job from 100 to 110, decided at 110, moved at 111.
MOVE = Move("switch", GREEN.decode(), asked=99.0, decided=110.0, committed=110.5, moved=111.0)
COURSE = Course(0.0, moves=[MOVE], rests=[(0.0, 99.0)], ended=200.0)
BUSY = [(100.0, 110.0)]


def answers(slow_from: float = 1e9, slow_to: float = 1e9) -> Answers:
    """Ten a second for 120 s, 10 ms each, 30 ms between the two."""
    made = np.zeros(1200, ANSWER)
    made["started"] = np.arange(1200) / 10
    made["seconds"] = 0.01
    made["status"] = 200
    slow = (made["started"] >= slow_from) & (made["started"] < slow_to)
    made["seconds"][slow] = 0.03
    made["release"] = np.where(made["started"] < 110.8, BLUE, GREEN)
    return made


def figures(made: Answers, verdict: Verdict | None = None) -> dict[str, Row]:
    rows, _ = rows_of(made, COURSE, BUSY, verdict or Verdict())
    return {row.name: row for row in rows}


def test_a_slow_switch_is_told_from_slow_jobs() -> None:
    assert figures(answers(100.0, 109.9))["p99_ratio"].ratio == pytest.approx(1.0)
    slow = figures(answers(110.0, 113.0))["p99_ratio"]
    assert slow.ratio == pytest.approx(3.0, abs=0.01)
    assert slow.met is False


def test_the_slowest_move_counts_from_its_decision() -> None:
    assert figures(answers())["switch_seconds"].ours == pytest.approx(1.0)
    assert figures(answers())["switch_seconds"].met


def test_a_query_that_still_got_the_old_release_makes_the_move_longer() -> None:
    made = answers()
    made["release"][1190] = BLUE
    assert last_moved(made, MOVE, 200.0) == pytest.approx(119.0)
    assert figures(made)["switch_seconds"].met is False


def test_one_failed_query_misses_the_goal() -> None:
    assert figures(answers(), Verdict(failed=0))["failed"].met is True
    assert figures(answers(), Verdict(failed=1))["failed"].met is False


def test_in_chaos_only_failures_outside_of_outages_count() -> None:
    made = answers()
    made["status"][[500, 700]] = 503
    made["degraded"][[501, 701, 702]] = BY_WORDS
    rows, notes = rows_of(made, COURSE, BUSY, Verdict(failed=2, by_words=3), outages=[(49.0, 51.0)])
    found = {row.name: row.ours for row in rows}
    assert (found["failed"], found["by_words"]) == (1, 2)
    assert (notes["failed_in_outages"], notes["by_words_in_outages"]) == (1, 1)
    assert "p99_ratio" not in {row.name for row in rows}


def test_a_query_belongs_to_each_span_that_it_touches() -> None:
    made = answers()[:2]
    assert within(made, [(0.005, 0.05)]).tolist() == [True, False]
    assert within(made, [(0.02, 0.1)]).tolist() == [False, True]


def test_jobs_side_by_side_are_one_busy_span() -> None:
    seen = [(1.0, 0), (2.0, 1), (3.0, 2), (4.0, 1), (5.0, 0), (8.0, 1)]
    assert busy_spans(seen, 9.0) == [(2.0, 5.0), (8.0, 9.0)]


def test_rollbacks_come_after_a_switch_and_are_spread() -> None:
    plan = planned(20, 5)
    assert (plan.count("switch"), plan.count("rollback")) == (20, 5)
    assert plan[:6] == ["switch", "switch", "switch", "switch", "rollback", "switch"]
    assert planned(0, 0) == []
    with pytest.raises(ValueError, match="more rollbacks than switches"):
        planned(1, 2)


def test_the_plot_is_an_svg_with_each_move(tmp_path: Path) -> None:
    plot(tmp_path / "x.svg", answers(), COURSE, BUSY)
    assert "switch to r-9e9e9e9e" in "".join(ElementTree.parse(tmp_path / "x.svg").getroot().itertext())
