"""What is exported, what is refused, whose checkpoints are whose, and what the report counts."""

import math
from pathlib import Path

import orjson
import pytest
from search_plane.encoder.artefact import DIGEST_PREFIX
from search_plane.finetuning import command
from search_plane.finetuning.evaluation import METRICS
from search_plane.finetuning.inputs import tell_skipped
from search_plane.finetuning.job import claim, refusal
from search_plane.finetuning.pairs import Limits, Pair, made
from search_plane.finetuning.report import FinetuneReport, outcome, row_counts, split_sizes
from search_plane.finetuning.rows import Refused, Skipped, checked
from search_plane.finetuning.settings import TrainingSettings
from search_plane.finetuning.split import Split
from search_plane.finetuning.training import last_checkpoint


def metrics(ndcg: float) -> dict[str, float]:
    return {**dict.fromkeys(METRICS, 0.5), "ndcg@10": ndcg}


@pytest.mark.parametrize(
    ("before", "after", "least", "keep", "expected"),
    [
        (0.5, 0.51, 0.0, False, "exported"),
        (0.5, 0.5, 0.0, False, "refused"),
        (0.5, 0.52, 0.05, False, "refused"),
        (0.5, 0.56, 0.05, False, "exported"),
        (0.5, 0.4, 0.0, True, "exported although it is no better"),
        (0.5, math.nan, 0.0, False, "refused"),
        (0.5, 0.49, -0.02, False, "exported"),
    ],
)
def test_only_a_gain_above_the_least_is_exported_unless_it_is_wanted_anyway(
    before: float, after: float, least: float, keep: bool, expected: str
) -> None:
    assert outcome(metrics(before), metrics(after), least, keep_anyway=keep) == expected


def report(after: float) -> FinetuneReport:
    pairs = made(
        [
            checked("a.jsonl line 1", {"query": "问", "product_text": "甲"}),
            Skipped("a.jsonl line 2", "not JSON"),
        ],
        {},
        Limits(),
    )
    split = Split((Pair("问", "甲", ("乙",)),), (Pair("答", "甲"), Pair("答", "丙", ("乙",))))
    return FinetuneReport(
        outcome="refused", model="m", revision="1", base="./m", precision="fp32", pin=f"{DIGEST_PREFIX}00",
        rows=row_counts(pairs, 3), split=split_sizes(split), held_out_share=0.1, least_gain=0.02,
        settings=TrainingSettings(), device="cpu", steps=1, resumed_from_step=0, trained_parameters=1, last_loss=1.0,
        before=metrics(0.5), after=metrics(after), seconds={},
    )  # fmt: skip


def test_the_report_counts_rows_and_both_sides_and_reads_back() -> None:
    told = report(0.51)
    assert told.rows.model_dump() == {
        "read": 2, "used": 1, "skipped": {"not JSON": 1}, "negatives_left_out": {}, "bad_products": 3,
    }  # fmt: skip
    assert told.split.model_dump() == {
        "training_pairs": 1, "training_queries": 1, "training_pairs_with_negatives": 1, "held_out_pairs": 2,
        "held_out_queries": 1, "held_out_products": 3,
    }  # fmt: skip
    assert FinetuneReport.model_validate_json(told.to_json()) == told


def test_a_refusal_is_one_line_with_the_figures_and_the_remedy() -> None:
    line = refusal(report(0.4))
    assert "\n" not in line
    assert line.startswith(
        "--least-gain 0.02: ndcg@10 on 1 held-out queries went from 0.5000 to 0.4000 (-0.1000)"
    )
    assert "--keep-anyway" in line


def test_every_skipped_row_is_in_the_file_and_an_older_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "skipped.jsonl"
    lines: list[str] = []
    tell_skipped(tuple(Skipped(f"line {n}", "not JSON") for n in range(50)), path, lines.append)
    assert [orjson.loads(line)["place"] for line in path.read_bytes().splitlines()] == [
        f"line {n}" for n in range(50)
    ]
    assert len(lines) == 22
    assert lines[20] == "skipped 30 more"
    tell_skipped((), path, lines.append)
    assert not path.exists()


def test_a_folder_of_another_job_s_checkpoints_is_refused(tmp_path: Path) -> None:
    job = {"model": "m", "settings": TrainingSettings().model_dump()}
    claim(tmp_path / "work", job)
    claim(tmp_path / "work", job)
    with pytest.raises(Refused, match="holds a job of another settings"):
        claim(tmp_path / "work", {**job, "settings": TrainingSettings(seed=8).model_dump()})


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, state in ((90, '{"global_step": 90}'), (100, '{"global_step": 100}'), (110, '{"glo')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-120").mkdir()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--pairs", "gone.jsonl"], "gone.jsonl: can't be read"),
        (["--clicks-index", "clicks"], "--elasticsearch: needed to read clicks"),
        (["--pairs", "ids.jsonl"], "name 1 products by id: give --products or --catalogue-index"),
        (["--pairs", "ids.jsonl", "--text-template", "{0}"], "--text-template: placeholder"),
        (["--pairs", "ids.jsonl", "--held-out", "1"], "--held-out 1.0: expected a share"),
        (
            ["--pairs", "ids.jsonl", "--learning-rate", "0"],
            "--learning-rate 0.0: Input should be greater than 0",
        ),
        (["--pairs", "ids.jsonl", "--negatives", "-1"], "--negatives -1: expected 0 or more"),
    ],
)
def test_what_can_t_work_is_refused_in_one_line_before_torch_is_needed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "ids.jsonl").write_text('{"query": "耳机", "product_id": "SP1"}\n')
    arguments = [
        "--model",
        "m3e-base",
        "--from",
        "base",
        "--revision",
        "2",
        "--source",
        "a test",
        "--out",
        "out",
    ]
    assert command.main([*arguments, *changed]) == 1
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.count("\n") == 1
    assert not told.out
    assert not (tmp_path / "out").exists()


def test_help_gives_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    told = capsys.readouterr().out
    assert "python -m search_plane encoder finetune --model m3e-base" in told
    for name in TrainingSettings.model_fields:
        assert f"--{name.replace('_', '-')}" in told
