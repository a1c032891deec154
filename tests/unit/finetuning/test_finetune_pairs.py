"""Click rows: what is read, what is skipped and why, and which pairs come of them."""

import json
from pathlib import Path

import pytest
from search_plane.finetuning.click_index import row_of
from search_plane.finetuning.files import file_rows
from search_plane.finetuning.pairs import Limits, Pair, Pairs, Texts, made
from search_plane.finetuning.products import file_texts
from search_plane.finetuning.rows import ClickRow, Refused, Row, Rows, Skipped, checked
from search_plane.jobs.rendering import Renderer, Unusable
from search_plane.jobs.scan import Document

LIMITS = Limits(least_impressions=100, most_ctr=0.01, negatives=2)


def rows(*raw: object) -> list[Row | Skipped]:
    return [checked(f"row {number}", one) for number, one in enumerate(raw, 1)]


def pairs_of(*raw: object, limits: Limits = LIMITS, texts: Texts | None = None) -> Pairs:
    return made(rows(*raw), texts or {}, limits)


def skipped(read: Rows) -> list[str]:
    return [str(row) for row in read if isinstance(row, Skipped)]


def test_ids_become_the_texts_that_jobs_embed_and_texts_are_cleaned_as_theirs(tmp_path: Path) -> None:
    (tmp_path / "products.jsonl").write_text(
        '{"sku": "SP1", "title": "Redmi\u3000Buds", "brand": "小米", "category": "蓝牙耳机"}\n'
        '{"sku": "SP2", "title": {"zh": "x"}, "brand": "", "category": ""}\n'
        '{"sku": "SP9", "title": "不要的"}\n'
        "no json\n"
        '{"title": "没有编号"}\n'
    )
    renderer = Renderer("{brand} {title} {category}", "sku")
    texts, bad = file_texts(tmp_path / "products.jsonl", renderer, ["SP1", "SP2", "SP3"])
    assert texts.keys() == {"SP1", "SP2"}
    assert texts["SP1"] == "小米 Redmi Buds 蓝牙耳机"
    assert isinstance(texts["SP2"], Unusable)
    assert [(row.place, row.reason) for row in bad] == [
        ("products.jsonl line 4", "not JSON"),
        ("products.jsonl line 5", "no product"),
    ]
    found = made(
        rows(
            {"query": "耳机", "product_id": "SP1"},
            {"query": "耳机", "product_id": "SP2"},
            {"query": "耳机", "product_id": "SP3"},
            {"query": "耳机", "product_text": " 华为\n FreeBuds \u200b"},
        ),
        texts,
        LIMITS,
    )
    assert found.pairs == (Pair("耳机", "小米 Redmi Buds 蓝牙耳机"), Pair("耳机", "华为 FreeBuds"))
    assert [str(row) for row in found.skipped] == [
        "row 2: the product can't be embedded: title is an object; name one of its fields, e.g. {title.zh}: SP2",
        "row 3: the product is not in the catalogue: SP3",
    ]


def test_bad_rows_of_a_file_are_told_with_their_line_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text(
        "\n".join(
            [
                '{"query": "耳机", "product_text": "甲", "negative_texts": null}',
                "",
                "{",
                "[1]",
                '{"query": "", "product_text": "甲"}',
                '{"query": "耳机"}',
                '{"query": "耳机", "product_text": "甲", "product_id": "1"}',
                '{"query": "耳机", "product_text": "甲", "negatives": ["乙"]}',
                '{"query": "耳机", "product_text": "甲", "clicks": 3}',
                '{"query": "耳机", "product_text": "甲", "clicks": -1, "impressions": 2}',
            ]
        )
    )
    read = list(file_rows(path))
    assert [row for row in read if isinstance(row, Row)] == [
        Row("clicks.jsonl line 1", ClickRow(query="耳机", product_text="甲"))
    ]
    told = skipped(iter(read))
    assert [line.partition(": ")[0] for line in told] == [f"clicks.jsonl line {n}" for n in range(3, 11)]
    for line, words in zip(
        told,
        [
            "not JSON", "not an object", "query: String should have at least 1", "give product_id or product_text",
            "and not both", "negatives: Extra inputs", "give impressions and clicks", "clicks: Input should be greater",
        ],
        strict=True,
    ):  # fmt: skip
        assert words in line
    assert made(read, {}, LIMITS).rows == 9


@pytest.mark.parametrize(
    ("name", "words"),
    [("clicks.csv", "ends in .jsonl or .parquet"), ("gone.jsonl", "No such file"), (".jsonl", "ends in")],
)
def test_a_file_that_can_t_be_read_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "clicks.csv").write_text("query,product\n")
    with pytest.raises(Refused, match=words):
        list(file_rows(tmp_path / name))


def test_queries_are_those_that_the_gateway_would_ask() -> None:
    found = pairs_of(
        {"query": " ＵＳＢ 线 ", "product_text": "甲"},
        {"query": "usb 线", "product_text": "乙"},
        {"query": "x" * 300, "product_text": "甲"},
        {"query": " ", "product_text": "甲"},
    )
    assert [pair.query for pair in found.pairs] == ["USB 线", "USB 线"]
    assert len({pair.query_key for pair in found.pairs}) == 1
    assert [row.reason for row in found.skipped] == ["the gateway refuses the query"] * 2


def test_repeated_rows_are_one_pair_with_the_negatives_of_all() -> None:
    found = pairs_of(
        {"query": "耳机", "product_text": "甲", "negative_texts": ["乙"]},
        {"query": "耳机", "product_text": "甲"},
        {"query": "耳机", "product_text": "甲", "negative_texts": ["丙", "丁"]},
    )
    assert found.pairs == (Pair("耳机", "甲", ("乙", "丙")),)
    assert [(row.place, row.reason) for row in found.skipped] == [("row 2", "repeated")]
    assert found.negatives_left_out["more than a pair keeps"] == 1


def test_a_product_that_was_clicked_is_no_negative_of_its_query() -> None:
    found = pairs_of(
        {"query": "耳机", "product_text": "甲", "negative_ids": ["1", "2", "3"]},
        {"query": "耳机", "product_id": "1"},
        {"query": "音箱", "product_text": "甲", "negative_ids": ["1"]},
        texts={"1": "乙", "2": "丙"},
    )
    assert found.pairs == (Pair("耳机", "甲", ("丙",)), Pair("耳机", "乙"), Pair("音箱", "甲", ("乙",)))
    assert found.negatives_left_out["clicked for the same query"] == 1
    assert found.negatives_left_out["the product is not in the catalogue"] == 1


def test_counts_say_what_is_clicked_and_what_is_shown_in_vain() -> None:
    found = pairs_of(
        {"query": "耳机", "product_text": "甲", "impressions": 50, "clicks": 9},
        {"query": "耳机", "product_text": "乙", "impressions": 100, "clicks": 1},
        {"query": "耳机", "product_text": "丙", "impressions": 900, "clicks": 0},
        {"query": "耳机", "product_text": "丁", "impressions": 99, "clicks": 0},
        {"query": "耳机", "product_text": "戊", "impressions": 100, "clicks": 2},
        {"query": "音箱", "product_text": "甲", "impressions": 500, "clicks": 0},
    )
    # The one that was shown most in vain comes first; 乙 has a click, but too few for its showings.
    assert found.pairs == (Pair("耳机", "甲", ("丙", "乙")), Pair("耳机", "戊", ("丙", "乙")))
    assert [(row.place, row.reason) for row in found.skipped] == [
        ("row 4", "shown too seldom to tell"),
        ("row 6", "no click for its query"),
    ]


def test_every_row_is_used_or_skipped() -> None:
    found = pairs_of(
        *(
            {"query": f"问{n % 7}", "product_text": f"品{n % 5}", "impressions": n, "clicks": n % 3}
            for n in range(300)
        ),
        limits=Limits(least_impressions=200, most_ctr=0.002, negatives=1),
    )
    assert found.rows == 300
    assert len({row.place for row in found.skipped}) == len(found.skipped)
    assert len(found.pairs) <= 300 - len(found.skipped)


def test_a_document_of_a_click_index_is_a_row_with_its_id_as_place() -> None:
    source = {"query": "耳机", "product_id": "SP1", "impressions": 10, "clicks": 1}
    row = row_of("clicks", Document("abc", source))
    assert row == Row("clicks/abc", ClickRow.model_validate(source))
    assert str(row_of("clicks", Document("d", {}))).startswith("clicks/d: malformed: query: Field required")


def test_the_sample_click_log_is_made_of_sound_rows() -> None:
    from sample_catalogue import click_log, generate

    log = list(click_log(generate(400, 5), queries=100))
    read = [checked("", json.loads(json.dumps(row))) for row in log]
    assert all(isinstance(row, Row) for row in read)
    assert len({str(row["query"]) for row in log}) == 100
    assert all(row["product_id"] not in row["negative_ids"] for row in log)  # type: ignore[operator]
    assert log == list(click_log(generate(400, 5), queries=100))
