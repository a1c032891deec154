"""A benchmark's result has one form, and its ratio is read the right way round."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import orjson
import pytest

from benchmarks.report import Row, alternate, bars, write


@pytest.mark.parametrize(
    ("better", "ours", "met"),
    [("higher", 81.0, True), ("higher", 79.0, False), ("lower", 79.0, True), ("lower", 81.0, False)],
)
def test_the_goal_is_met_on_the_right_side(better: str, ours: float, met: bool) -> None:
    row = Row.compare(
        "x", ours, "limit", 100.0, unit="s", goal=0.8, better="lower" if better == "lower" else "higher"
    )
    assert (row.ratio, row.met) == (ours / 100, met)


def test_without_a_goal_nothing_is_met() -> None:
    assert Row.compare("x", 1.0, "limit", 2.0, unit="s").met is None


def test_measures_take_turns_and_warm_ups_are_dropped() -> None:
    order: list[str] = []

    def measure(name: str) -> Callable[[], float]:
        def once() -> float:
            order.append(name)
            return float(len(order))

        return once

    figures = alternate({"a": measure("a"), "b": measure("b")}, rounds=2, warmups=1)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert figures == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_the_file_has_the_agreed_form_and_a_plot_beside_it(tmp_path: Path) -> None:
    row = Row.compare("a<b", 50.0, "bare & plain", 100.0, unit="rows/s", goal=0.8)
    written = write("sample", [row], notes={"rounds": 3}, results=tmp_path)
    document = orjson.loads(written.read_bytes())
    assert document.keys() == {"machine", "date", "commit", "rows", "notes"}
    assert document["rows"] == [
        {
            "name": "a<b",
            "ours": 50.0,
            "against": "bare & plain",
            "limit": 100.0,
            "ratio": 0.5,
            "unit": "rows/s",
            "goal": 0.8,
            "met": False,
        }
    ]
    ElementTree.fromstring((tmp_path / "sample.svg").read_text())


def test_the_plot_survives_a_row_of_zeros() -> None:
    zero = Row(name="x", ours=0, against="y", limit=0, ratio=0, unit="s")
    ElementTree.fromstring(bars("empty", [zero]))
