"""The load's log keeps each answer as it was, and calls what is none a failure."""

import time
from pathlib import Path

import orjson
import pytest

from benchmarks.switch_load import AnswerLog
from benchmarks.switch_log import read_answers, sku_name

ANSWER = {
    "release": "r-1a2b3c4d",
    "degraded": ["catalogue", "vectors"],
    "dropped": 3,
    "hits": [{"id": sku_name(number), "score": 0.5 + number / 100} for number in (7, 61_803_398_873)],
}


def test_an_answer_comes_back_from_the_log(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "a.log")
    log.add(time.monotonic() - 0.5, 12, 200, orjson.dumps(ANSWER))
    log.flush()
    (answer,) = read_answers([tmp_path / "a.log"])
    assert (answer["query"], answer["status"], answer["release"]) == (12, 200, b"r-1a2b3c4d")
    assert (answer["degraded"], answer["dropped"], answer["hits"]) == (3, 3, 2)
    assert answer["ids"].tolist()[:2] == [7, 61_803_398_873]
    assert abs(answer["scores"][0] - 0.57) < 1e-6
    assert 0.5 <= answer["seconds"] < 5


@pytest.mark.parametrize(
    ("parts", "bits"),
    [
        ([], 0),
        (["catalogue"], 1),
        (["vectors"], 2),
        (["vectors", "another"], 2),
        (["semantic", "catalogue"], 5),
    ],
)
def test_what_is_missing_is_kept(tmp_path: Path, parts: list[str], bits: int) -> None:
    log = AnswerLog(tmp_path / "a.log")
    log.add(time.monotonic(), 0, 200, orjson.dumps(ANSWER | {"degraded": parts}))
    log.flush()
    (answer,) = read_answers([tmp_path / "a.log"])
    assert (answer["status"], answer["degraded"]) == (200, bits)


def test_every_block_is_written_and_failures_are_counted(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "a.log")
    bodies = [(200, orjson.dumps(ANSWER)), (503, b"{}"), (0, b"refused"), (200, b"<html>"), (200, b"{}")]
    for number in range(2000):
        status, body = bodies[number % len(bodies)]
        log.add(float(number), number % 200, status, body)
    log.flush()
    answers = read_answers([tmp_path / "a.log"])
    assert len(answers) == log.count == 2000
    assert int((answers["status"] == 200).sum()) == 400
    assert log.failed == 1600
    assert answers["started"].tolist() == sorted(answers["started"].tolist())
    # What an earlier answer left in the block is not taken for a failure's hits.
    assert set(answers["hits"][answers["status"] != 200].tolist()) == {0}
