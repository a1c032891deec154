"""The report on queries: what it finds, whom it names, and that its files are what others read."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from search_plane.finetuning.files import jsonl_rows
from search_plane.finetuning.pairs import Limits, made
from search_plane.finetuning.rows import Row
from search_plane.listening.click_rows import click_rows
from search_plane.listening.events import Click, Exposure, Search, joined, parsed
from search_plane.listening.listening_command import as_text, group
from search_plane.listening.listening_report import ListeningReport, listening_report, nameable
from search_plane.listening.queries import asked, folded
from search_plane.listening.rewording import clicked_alike, differing, grouped, reformulated

from tests.testbed.search_traffic import BETTER, SLANG, lines, traffic
from tests.unit.listening.log_lines import click_on, exposure, search

_FIELDS = {"query", "product_id", "impressions", "clicks"}
_WORDS = st.text(alphabet="平价便宜的耳机 ab1-", min_size=1, max_size=8)


def many(query: str, buckets: int, rank: int | None = None, **shown: Any) -> list[Search]:
    """The same search from so many buckets."""
    return [search(rank, query=query, bucket=bucket, **shown) for bucket in range(buckets)]


def names(found: tuple[Any, ...]) -> list[str]:
    return [one.query for one in found]


def test_queries_that_find_nothing() -> None:
    rows = [
        *many("折叠船", 9, hits=()),
        *many("耳机", 9, rank=1),
        # Sometimes, while something was away, or through a filter: not the query's fault.
        *many("充电器", 6, rank=1), *many("充电器", 3, hits=()),
        *many("大米", 9, hits=(), degraded=["semantic"]),
        *many("牛奶", 9, hits=(), filtered=True), *many("牛奶", 1, rank=1),
    ]  # fmt: skip
    report = listening_report(rows)
    assert names(report.zero_results) == ["折叠船"]
    (line,) = report.zero_results
    assert (line.searches, line.buckets, line.zero_results, line.click_through) == (9, 9, 1.0, 0.0)


def test_queries_that_are_not_clicked() -> None:
    rows = [*many("泡脚桶", 40), *many("耳机", 60, rank=1), *many("手机", 6), *many("手机", 6, rank=2)]
    rows += many("坏掉的时候", 40, degraded=["semantic"])
    # Half of 12 may be chance beside the usual three of five; none of 40 can't.
    assert names(listening_report(rows).abandoned) == ["泡脚桶"]


def test_queries_whose_first_hits_score_low_on_their_own_path() -> None:
    rows = [
        *many("有把握", 40, top_score=0.016), *many("没把握", 5, top_score=0.004),
        *many("词", 40, path="keyword", top_score=9.0), *many("少词", 5, path="keyword", top_score=1.0),
        *many("那时慢", 6, top_score=0.001, degraded=["keyword"]),
    ]  # fmt: skip
    found = listening_report(rows).unsure
    assert sorted(names(found)) == sorted(["没把握", "少词"])
    assert {one.query: one.top_score for one in found}["少词"] == 1.0


def test_the_tail_is_what_the_commonest_queries_leave() -> None:
    rows = [
        *many("耳机", 80, rank=1),
        *many("足浴盆", 8),
        *many("颈椎仪", 7),
        *many("谁都不问", 1),
        *many("没人要", 4),
    ]
    report = listening_report(rows)
    assert (report.head.queries, report.head.searches, report.head.click_through) == (1, 80, 1.0)
    assert (report.tail.queries, report.tail.searches, report.tail.shown) == (4, 20, 2)
    assert names(report.long_tail) == ["足浴盆", "颈椎仪"]
    assert (report.hidden_queries, report.hidden_searches) == (2, 5)


def test_a_query_of_few_people_is_named_nowhere(tmp_path: Path) -> None:
    """One person asks again and again; four ask once; and some have no key. None of these may be read anywhere."""
    secrets = ["张三住哪里", "李四的病历", "无人知晓"]
    rows = [search(1, query=secrets[0], bucket=7) for _ in range(50)]
    rows += many(secrets[1], 4, rank=1)
    rows += [search(1, query=secrets[2], bucket=None) for _ in range(50)]
    rows += many("耳机", 9, rank=1)
    report = listening_report(rows)
    told = report.model_dump_json() + as_text(report)
    assert not any(secret in told for secret in secrets)
    assert report.without_key == 50
    assert {row.query for row in click_rows(rows, nameable(rows, 5))} == {"耳机"}


def test_ways_of_writing_are_one_query() -> None:
    rows = [
        search(query=query, bucket=n) for n, query in enumerate(["USB-C 线", "usb-c  线", "ＵＳＢ-Ｃ 线"])
    ]
    assert set(asked(rows)) == {"usb-c 线"}
    assert folded("　Ａ b ") == "a b"


def steps(first: str, then: str, buckets: range, seconds: float = 20) -> list[Search]:
    """In each bucket somebody asks the one without a click, then the other with one."""
    found = []
    for bucket in buckets:
        found.append(search(query=first, bucket=bucket, seconds=1000 * bucket))
        found.append(search(1, query=then, bucket=bucket, seconds=1000 * bucket + seconds))
    return found


def test_a_reformulation_is_a_candidate() -> None:
    rows = steps("蓝芽耳机", "蓝牙耳机", range(9))
    report = listening_report(rows)
    assert [one.line for one in report.reformulated] == ["蓝芽 => 蓝牙"]
    (one,) = report.reformulated
    assert (one.buckets, one.against, one.queries) == (9, 0, (("蓝芽耳机", "蓝牙耳机"),))


def test_words_that_are_worded_alike_in_several_queries_add_up() -> None:
    rows = [*steps("平价耳机", "便宜的耳机", range(6)), *steps("平价手机", "便宜的手机", range(6, 12))]
    (one,) = listening_report(rows).reformulated
    assert (one.line, one.buckets) == ("平价 => 便宜", 12)
    assert len(one.queries) == 2


def test_too_late_too_few_and_the_other_way_round_are_none() -> None:
    assert not listening_report(steps("土豪耳机", "高端耳机", range(9), seconds=121)).reformulated
    known = frozenset({"土豪耳机", "高端耳机"})
    assert not reformulated(steps("土豪耳机", "高端耳机", range(4)), known, 5)
    back = [
        one
        for bucket in range(9, 16)
        for one in (
            search(1, query="高端耳机", bucket=bucket, seconds=1000 * bucket),
            search(query="土豪耳机", bucket=bucket, seconds=1000 * bucket + 20),
        )
    ]
    assert not listening_report([*steps("土豪耳机", "高端耳机", range(9)), *back]).reformulated


def test_a_crowded_bucket_makes_no_candidates() -> None:
    """Thousands of strangers in each bucket ask unrelated things seconds apart: chance pairs by the hundred."""
    import random

    draw = random.Random(5)
    asks = ["平价耳机", "便宜耳机", "儿童手表", "老人手机", "高端鼠标"]
    rows = [
        search(
            draw.choice([1, None, None]),
            query=draw.choice(asks),
            bucket=bucket,
            seconds=draw.uniform(0, 6000),
        )
        for bucket in range(20)
        for _ in range(150)
    ]
    pairs = len(asks) * (len(asks) - 1)
    assert len(listening_report(rows).reformulated) <= 0.1 * pairs
    planted = steps("土豪键盘", "高端键盘", range(20))
    assert "土豪 => 高端" in [one.line for one in listening_report([*rows, *planted]).reformulated]


def test_queries_that_lead_to_the_same_products_are_candidates() -> None:
    def clicks(query: str, products: str, buckets: range) -> list[Search]:
        found: list[Search] = []
        for bucket in buckets:
            shown = exposure(query, hits=list("ABCDEF"), bucket=bucket)
            clicked = [click_on(shown, "ABCDEF".index(product) + 1) for product in products]
            found += joined([shown, *clicked]).searches
        return found

    rows = [
        *clicks("爸妈用的大字手机", "ABC", range(6)), *clicks("老人手机", "ABC", range(6, 12)),
        *clicks("学生手机", "DEF", range(12, 18)), *clicks("备用手机", "CDE", range(18, 24)),
    ]  # fmt: skip
    found = clicked_alike(rows, nameable(rows, 5), 5)
    assert [one.line for one in found] == ["爸妈用的大字, 老人"]
    assert found[0].similarity == 1.0


@pytest.mark.parametrize(
    ("pairs", "groups"),
    [
        ([("a", "b"), ("b", "c"), ("a", "c"), ("d", "e")], [["a", "b", "c"], ["d", "e"]]),
        # b and c are nowhere said to be alike.
        ([("a", "b"), ("a", "c")], [["a", "b"], ["a", "c"]]),
        ([], []),
    ],
)
def test_only_what_is_alike_throughout_is_one_line(
    pairs: list[tuple[str, str]], groups: list[list[str]]
) -> None:
    assert grouped(pairs) == groups


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("平价耳机", "便宜的耳机", ("平价", "便宜")),
        ("蓝芽耳机", "蓝牙耳机", ("蓝芽", "蓝牙")),
        ("平价的t恤", "白菜价的t恤", ("平价", "白菜价")),
        ("小咪充电器 20w", "小米充电器 20w", ("小咪", "小米")),
        ("桶", "盆", ("桶", "盆")),
        ("足浴桶 大", "足浴盆 大", ("浴桶", "浴盆")),
        ("耳机", "耳机", None),
        ("耳机", "蓝牙耳机", None),
        ("iphone 15", "iphone 16", None),
        ("充电器 20w", "充电器 65w", None),
        ("ipone 手机壳", "iphone 手机壳", ("ipone", "iphone")),
        ("type-c 线", "usb-c 线", ("type-c", "usb-c")),
        ("a, b", "耳机", None),
        ("送[phone]", "耳机", None),
        ("便宜耳机", "便宜的耳机", None),
    ],
)
def test_what_differs(first: str, second: str, expected: tuple[str, str] | None) -> None:
    assert differing(first, second) == expected


@given(_WORDS, _WORDS)
def test_what_differs_is_the_same_both_ways(first: str, second: str) -> None:
    first, second = folded(first), folded(second)
    words = differing(first, second)
    assert differing(second, first) == (words[::-1] if words else None)
    if words:
        assert words[0] in first
        assert words[1] in second
        assert min(map(len, words)) >= 1


def test_looked_at_is_what_stands_above_a_click() -> None:
    """The fine-tuning's hard negative: shown above the click and passed over."""
    rows = [*many("耳机", 6, rank=2), *many("耳机", 6), *many("大米", 2, rank=1)]
    told = [row.model_dump(include=_FIELDS) for row in click_rows(rows, nameable(rows, 5))]
    assert told == [
        {"query": "耳机", "product_id": "B", "impressions": 6, "clicks": 6},
        {"query": "耳机", "product_id": "A", "impressions": 6, "clicks": 0},
    ]


def test_what_is_passed_over_often_becomes_the_fine_tuning_s_hard_negative(tmp_path: Path) -> None:
    rows = many("耳机", 120, rank=2)
    path = tmp_path / "clicks.jsonl"
    path.write_text(
        "".join(
            row.model_dump_json(exclude_defaults=True) + "\n" for row in click_rows(rows, nameable(rows, 5))
        )
    )
    pairs = made(jsonl_rows(path), {"A": "甲", "B": "乙"}, Limits())
    assert [(pair.query, pair.product, pair.negatives) for pair in pairs.pairs] == [("耳机", "乙", ("甲",))]


def test_clicks_on_a_later_page_count_from_its_own_first_hit() -> None:
    rows = [*many("耳机", 5, rank=1), *many("耳机", 5, rank=12, offset=10, hits=("K", "L"))]
    told = {(row.product_id, row.impressions, row.clicks) for row in click_rows(rows, nameable(rows, 5))}
    assert told == {("A", 5, 5), ("K", 5, 0), ("L", 5, 5)}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "searches.jsonl"
    path.write_bytes(b"".join(lines(traffic(2500, BETTER))))
    return path


def test_the_command_finds_the_planted_slang_and_its_files_are_read_by_the_fine_tuning(
    log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found"
    run = CliRunner().invoke(group, ["report", "--log", str(log), "--out", str(out)])
    assert run.exit_code == 0, run.output
    synonyms = (out / "synonyms.txt").read_text(encoding="utf-8").splitlines()
    # What people were made to do (see search_traffic.SLANG), and nothing else is a reformulation.
    assert {line for line in synonyms if "=>" in line} == {
        f"{slang} => {plain}" for slang, plain in SLANG.items()
    }
    report = ListeningReport.model_validate_json((out / "report.json").read_bytes())
    assert all(any(slang in one.query for slang in SLANG) for one in report.abandoned[:20])

    rows = list(jsonl_rows(out / "clicks.jsonl"))
    assert rows
    assert all(isinstance(row, Row) for row in rows)
    clicked = [row.click.product_id for row in rows if isinstance(row, Row)]
    pairs = made(
        rows, {str(id): f"text of {id}" for id in clicked}, Limits(least_impressions=20, most_ctr=0.05)
    )
    assert len(pairs.pairs) > 500
    assert {one.reason for one in pairs.skipped} <= {"shown too seldom to tell", "no click for its query"}


def test_the_command_gives_json_and_tells_where_it_can_t_write(log: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(group, ["report", "--log", str(log), "--json", "--most", "3"])
    assert len(orjson.loads(run.stdout)["long_tail"]) == 3
    (tmp_path / "taken").write_text("")
    wrong = CliRunner().invoke(group, ["report", "--log", str(log), "--out", str(tmp_path / "taken" / "x")])
    assert wrong.exit_code == 1
    assert "taken/x: can't be written" in wrong.output
    few = CliRunner().invoke(group, ["report", "--log", str(log), "--least-buckets", "1"])
    assert few.exit_code == 2


def test_events_of_a_simulated_log_are_all_understood(log: Path) -> None:
    read = [parsed("x", orjson.loads(line)) for line in log.read_bytes().splitlines()]
    assert joined(one for one in read if isinstance(one, Exposure | Click)).left_out == {}
