"""Judged queries: what a file may hold, and nDCG against worked examples."""

import math
from pathlib import Path

import orjson
import pytest
from search_plane.jobs.verify_judged import JudgedQuery, JudgementsUnusable, ndcg, read_judged

from sample_catalogue import generate, judgements


def written(folder: Path, text: str) -> Path:
    path = folder / "judged.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"query": "便宜的蓝牙耳机", "relevant": {"SKU-000042": 3, "SKU-7": 1}}\n\n'
        '{"query": "五常大米", "relevant": {"SKU-8": 1}}\n',
    )
    assert read_judged(path) == (
        JudgedQuery(query="便宜的蓝牙耳机", relevant={"SKU-000042": 3, "SKU-7": 1}),
        JudgedQuery(query="五常大米", relevant={"SKU-8": 1}),
    )


def test_the_sample_catalogue_s_judgements_are_such_a_file(tmp_path: Path) -> None:
    lines = judgements(generate(2000, 7))
    path = written(tmp_path, "\n".join(orjson.dumps(line).decode() for line in lines))
    read = read_judged(path)
    assert len(read) >= 240
    assert {grade for query in read for grade in query.relevant.values()} == {1, 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "judged.jsonl holds no judged query"),
        ("\n \n", "judged.jsonl holds no judged query"),
        ("耳机", "judged.jsonl line 1"),
        ('{"query": "a", "relevant": {"p": 1}}\n{"query": "b"}', "line 2: relevant Field required"),
        ('{"query": "", "relevant": {"p": 1}}', "line 1: query"),
        ('{"query": "a", "relevant": {}}', "line 1: relevant"),
        ('{"query": "a", "relevant": {"p": 0}}', "line 1: relevant.p"),
        ('{"query": "a", "relevant": ["p"]}', "line 1: relevant"),
        ('{"query": "a", "relevant": {"p": 1}, "note": 1}', "line 1: note"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(JudgementsUnusable, match=said):
        read_judged(written(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(JudgementsUnusable, match=r"there are no judged queries: judged.jsonl is not mounted"):
        read_judged(tmp_path / "judged.jsonl")
    (tmp_path / "judged.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(JudgementsUnusable, match="can't be read"):
        read_judged(tmp_path / "judged.jsonl")


def test_ndcg_of_a_worked_example() -> None:
    # Grades found: 3, 0, 2; possible: 3, 2, 1.
    grades = {"a": 3, "b": 2, "c": 1}
    gained = 7 + 3 / math.log2(4)
    possible = 7 + 3 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(["a", "x", "b"], grades) == pytest.approx(gained / possible)


def test_ndcg_has_its_ends() -> None:
    grades = {"a": 2, "b": 1}
    assert ndcg(["a", "b", "x"], grades) == 1.0
    assert ndcg(["b", "a"], grades) < 1.0
    assert ndcg(["x", "y"], grades) == 0.0
    assert ndcg([], grades) == 0.0


def test_only_the_first_ten_count() -> None:
    grades = {f"p{number}": 1 for number in range(20)}
    assert ndcg([f"p{number}" for number in range(10)], grades) == 1.0
    assert ndcg([*[f"x{number}" for number in range(10)], "p1"], grades) == 0.0
