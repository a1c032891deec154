"""Steps run in order, side by side where they may, and stop at a failure."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from demo import steps as steps_module
from demo.building import building_steps, building_steps_for_tests
from demo.display import LiveDisplay, PlainDisplay, display_for
from demo.down import removing_steps
from demo.installing import Installation, installing_steps
from demo.steps import Outcome, Say, Step, StepFailed, check_order, run_steps
from demo.wording import duration, durations, failure, last_lines
from tests.testbed.cluster import Cluster, TestbedError


class Recorded:
    """A display that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, step: Step) -> None:
        self.lines.append(f"started {step.key}")

    def said(self, step: Step, message: str) -> None:
        self.lines.append(f"{step.key}: {message}")

    def ended(self, outcome: Outcome, done: int, total: int) -> None:
        self.lines.append(f"{'failed' if outcome.error else 'ended'} {outcome.step.key} {done}/{total}")

    def still(self, running: Sequence[tuple[Step, float]]) -> None:
        self.lines.append("still " + ",".join(step.key for step, _ in running))


def step(key: str, *after: str, act: Callable[[Say], str] = lambda _: "", remedy: str = "") -> Step:
    return Step(key, key.title(), act, after, remedy)


def test_a_step_waits_for_what_it_needs() -> None:
    seen = Recorded()
    outcomes = run_steps([step("a"), step("b", "a"), step("c", "b")], seen)
    assert [outcome.step.key for outcome in outcomes] == ["a", "b", "c"]
    assert seen.lines == ["started a", "ended a 1/3", "started b", "ended b 2/3", "started c", "ended c 3/3"]


def test_steps_that_need_nothing_of_each_other_run_at_once() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(_say: Say) -> str:
        meeting.wait()
        return "met"

    outcomes = run_steps([step("a", act=meet), step("b", act=meet)], Recorded())
    assert [outcome.text for outcome in outcomes] == ["met", "met"]


def test_after_a_failure_nothing_new_begins_and_what_runs_is_let_finish() -> None:
    failed = threading.Event()

    def fail(_say: Say) -> str:
        raise StepFailed("no disk")

    def finish(_say: Say) -> str:
        assert failed.wait(10)
        return "kept"

    class Watching(Recorded):
        def ended(self, outcome: Outcome, done: int, total: int) -> None:
            super().ended(outcome, done, total)
            if outcome.error:
                failed.set()

    seen = Watching()
    outcomes = run_steps([step("slow", act=finish), step("bad", act=fail), step("next", "slow")], seen)
    assert {outcome.step.key: outcome.text for outcome in outcomes} == {"bad": "", "slow": "kept"}
    assert isinstance(outcomes[0].error, StepFailed)
    assert "started next" not in seen.lines


def test_at_most_so_many_run_at_once() -> None:
    seen = Recorded()
    run_steps([step("a"), step("b"), step("c")], seen, at_once=1)
    assert seen.lines[:4] == ["started a", "ended a 1/3", "started b", "ended b 2/3"]


def test_silence_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps_module, "HEARTBEAT_SECONDS", 0.01)
    beat = threading.Event()

    class Watching(Recorded):
        def still(self, running: Sequence[tuple[Step, float]]) -> None:
            super().still(running)
            beat.set()

    seen = Watching()
    run_steps([step("slow", act=lambda _: str(beat.wait(10)))], seen)
    assert "still slow" in seen.lines


def test_what_a_step_says_is_shown_with_its_name() -> None:
    seen = Recorded()

    def talk(say: Say) -> str:
        say("half")
        return "whole"

    run_steps([step("a", act=talk)], seen)
    assert "a: half" in seen.lines


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step("a"), step("a")], "step a is there twice"),
        ([step("a", "b"), step("b")], "step a needs b, which must come before it"),
        ([step("a", "nowhere")], "step a needs nowhere"),
    ],
)
def test_an_impossible_order_is_refused(steps: list[Step], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_order(steps)


def test_the_demos_own_steps_can_be_run_in_their_order() -> None:
    all_steps = [*building_steps(), *installing_steps(Installation())]
    check_order(all_steps)
    assert all_steps[-1].key == "queries"
    assert [s.key for s in all_steps if not s.remedy and s.key not in ("store images", "images")] == []
    check_order(building_steps_for_tests())
    check_order([*building_steps(images=False), *installing_steps(Installation(images_are_there=True))])


def test_a_given_cluster_stays_and_only_what_is_ours_goes_index_first() -> None:
    given = Cluster(kind="given", name="demo", kubeconfig=Path("/nowhere"), kubectl=Path("kubectl"))
    steps = removing_steps(given)
    check_order(steps)
    assert [s.key for s in steps] == ["index", "operator", "namespaces", "credentials"]
    assert [s.key for s in removing_steps(None)] == ["cluster"]
    assert [s.key for s in removing_steps(replace(given, kind="embedded"))] == ["cluster"]


def test_a_failure_says_what_why_how_to_look_and_what_to_do() -> None:
    bad = step("operator", remedy="Look at the pods")
    error = StepFailed("pod x: OOMKilled", look=["kubectl get pods"], tail="first\n\nlast\n")
    assert failure(Outcome(bad, 61.2, error=error)).splitlines() == [
        "FAILED after 1 min 01 s: Operator",
        "pod x: OOMKilled",
        "Last lines of the log:",
        "  first",
        "  last",
        "Look further:",
        "  kubectl get pods",
        "What to do: Look at the pods. Then run it again: what is done is kept.",
    ]


def test_a_failure_of_the_testbed_keeps_its_own_remedy() -> None:
    text = failure(Outcome(step("base"), 1.0, error=TestbedError("debootstrap: exit 1\ncheck the mirror")))
    assert "check the mirror" in text
    assert "Look further" not in text


def test_a_failure_that_nobody_foresaw_says_where_it_came_from() -> None:
    def fail(_say: Say) -> str:
        nothing: dict[str, str] = {}
        return nothing["nothing"]

    (outcome,) = run_steps([step("a", act=fail)], Recorded())
    text = failure(outcome)
    assert "KeyError: 'nothing'" in text
    assert "test_demo_steps.py" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (3.25, "3.2 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (605, "10 min 05 s")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_table_of_durations_ends_with_the_wall_clock() -> None:
    text = durations([Outcome(step("a"), 2.0), Outcome(step("b"), 70.0)], 71.0)
    assert text.splitlines()[0].split() == ["A", "2.0", "s"]
    assert text.splitlines()[-1].endswith("1 min 11 s")


def test_only_the_last_lines_of_a_log_are_shown() -> None:
    assert last_lines("a\nb\n\nc\n", 2) == "b\nc"


def test_without_a_terminal_everything_is_a_line() -> None:
    output = io.StringIO()

    def talk(say: Say) -> str:
        say("[half] way")
        return "a long result " * 8

    with display_for(Console(file=output, width=60)) as display:
        assert isinstance(display, PlainDisplay)
        run_steps([step("a", act=talk)], display)
    lines = output.getvalue().splitlines()
    assert [line.split(maxsplit=1)[1].strip() for line in lines] == [
        ".. A",
        "a: [half] way",
        f"[ 1/1] A (0.0 s): {'a long result ' * 8}".strip(),
    ]


def test_on_a_terminal_what_ended_stays_and_what_runs_is_live() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True, color_system=None)
    with display_for(console) as display:
        assert isinstance(display, LiveDisplay)
        display.started(step("b"))
        display.said(step("b"), "half way")
        run_steps([step("a", act=lambda _: "fine")], display)
    assert "[ 1/1] A (0.0 s): fine" in output.getvalue()
    assert "half way" in output.getvalue()


def test_a_failure_is_told_at_once_in_full() -> None:
    output = io.StringIO()

    def fail(_say: Say) -> str:
        raise StepFailed("no disk", look=["df -h"])

    with display_for(Console(file=output, width=60)) as display:
        run_steps([step("a", act=fail, remedy="Make room")], display)
    assert "[FAIL] A" in output.getvalue()
    assert "Make room. Then run it again" in output.getvalue()
