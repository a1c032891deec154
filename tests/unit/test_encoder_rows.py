"""What is published of the encoder's figures: names, sides and goals."""

from pathlib import Path

import pytest

from benchmarks.encoder_plot import plot
from benchmarks.encoder_rows import CASES, Figures, rows_of


def figures() -> Figures:
    found = Figures(limit={"queries": [90.0, 100.0, 130.0], "documents": [50.0]}, single_ms=[4.0])
    for case in CASES:
        found.per_second["ours", case] = [95.0 if case.kind == "queries" else 40.0]
        found.p99_ms["ours", case] = [10.0]
        found.per_second["naive", case] = [19.0]
        found.p99_ms["naive", case] = [40.0]
    found.loaded_p99_ms = [14.0]
    return found


def test_rows_are_named_by_figure_model_precision_and_case() -> None:
    names = [row.name for row in rows_of("bge-small-zh-v1.5 int8", figures())]
    assert names[:6] == [
        "throughput_vs_onnxruntime bge-small-zh-v1.5 int8 c=1",
        "throughput_vs_onnxruntime bge-small-zh-v1.5 int8 c=8",
        "throughput_vs_onnxruntime bge-small-zh-v1.5 int8 c=64",
        "throughput_vs_onnxruntime bge-small-zh-v1.5 int8 c=512",
        "throughput_vs_onnxruntime bge-small-zh-v1.5 int8 documents c=8",
        "p99_vs_single bge-small-zh-v1.5 int8 at 70 %",
    ]
    assert names[6:8] == [
        "throughput_vs_naive bge-small-zh-v1.5 int8 c=1",
        "p99_vs_naive bge-small-zh-v1.5 int8 c=1",
    ]
    assert len(names) == len(CASES) + 1 + 2 * len(CASES)


@pytest.mark.parametrize(
    ("case", "ratio", "goal", "met"),
    [("c=1", 0.95, None, None), ("c=64", 0.95, 0.9, True), ("documents c=8", 0.8, 0.9, False)],
)
def test_nine_tenths_of_the_runtime_are_asked_for_where_there_is_something_to_batch(
    case: str, ratio: float, goal: float | None, met: bool | None
) -> None:
    row = next(row for row in rows_of("m", figures()) if row.name == f"throughput_vs_onnxruntime m {case}")
    assert (row.ratio, row.goal, row.met) == (ratio, goal, met)


def test_a_p99_is_better_when_lower() -> None:
    rows = {row.name: row for row in rows_of("m", figures())}
    assert (rows["p99_vs_single m at 70 %"].ratio, rows["p99_vs_single m at 70 %"].met) == (3.5, False)
    assert (rows["p99_vs_naive m c=64"].ratio, rows["p99_vs_naive m c=64"].met) == (0.25, True)


def test_the_plot_has_a_column_a_variant(tmp_path: Path) -> None:
    plot(tmp_path / "one.png", {"a": figures()})
    plot(tmp_path / "two.png", {"a": figures(), "b": figures()})
    widths = [int.from_bytes((tmp_path / name).read_bytes()[16:20]) for name in ("one.png", "two.png")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)
