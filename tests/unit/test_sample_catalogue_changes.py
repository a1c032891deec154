"""Later changes to a catalogue, bad documents, the index definition and the command line."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from sample_catalogue import Change, ChangeKind, bad_documents, generate, index_definition, mutate
from sample_catalogue.__main__ import main

AT = datetime(2026, 11, 2, 8, tzinfo=timezone(timedelta(hours=8)))
ROUND = {"repriced": 30, "retitled": 20, "deleted": 10, "added": 5}
TEXT = ("brand", "title", "category")


@pytest.fixture(scope="module")
def before() -> dict[str, dict[str, object]]:
    return {product.sku: product.document() for product in generate(500, 7)}


def changes(first: int = 0) -> list[Change]:
    return list(mutate(7, 500, at=AT, first=first, **ROUND))


def test_changes_are_what_was_asked_for_and_always_the_same() -> None:
    assert changes() == changes()
    counted = Counter(change.kind for change in changes())
    assert counted == {
        ChangeKind.PRICE: 30,
        ChangeKind.TITLE: 20,
        ChangeKind.DELETED: 10,
        ChangeKind.ADDED: 5,
    }


def test_a_new_price_leaves_the_text_and_a_new_title_does_not(before: dict[str, dict[str, object]]) -> None:
    for change in changes():
        if change.kind in (ChangeKind.PRICE, ChangeKind.TITLE):
            assert change.document is not None
            old = before[change.sku]
            text_is_new = any(change.document[name] != old[name] for name in TEXT)
            assert text_is_new is change.changes_text is (change.kind is ChangeKind.TITLE)
            assert (change.document["price"] != old["price"]) is (change.kind is ChangeKind.PRICE)
            assert change.document["updated_at"] == "2026-11-02T00:00:00Z" > str(old["updated_at"])


def test_deleted_products_were_there_and_added_ones_were_not(before: dict[str, dict[str, object]]) -> None:
    for change in changes():
        assert (change.sku in before) is (change.kind is not ChangeKind.ADDED)
        assert (change.document is None) is (change.kind is ChangeKind.DELETED)


def test_rounds_never_touch_a_product_twice() -> None:
    per_round = sum(ROUND.values())
    touched = [change.sku for first in (0, per_round, 2 * per_round) for change in changes(first)]
    assert len(set(touched)) == len(touched) == 3 * per_round


@pytest.mark.parametrize("catalogue", [1, 2, 10, 97, 500])
def test_a_whole_catalogue_can_be_changed(catalogue: int) -> None:
    touched = {change.sku for change in mutate(7, catalogue, at=AT, deleted=catalogue)}
    assert touched == {product.sku for product in generate(catalogue, 7)}


def test_more_changes_than_products_and_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit a catalogue of 10"):
        next(mutate(7, 10, at=AT, deleted=11))
    with pytest.raises(ValueError, match="time zone"):
        next(mutate(7, 10, at=AT.replace(tzinfo=None), deleted=1))


def test_bad_documents_show_every_fault_once_and_are_json() -> None:
    bad = list(bad_documents(7))
    assert len({each.kind for each in bad}) == len({each.id for each in bad}) == len(bad) >= 20
    assert all(each.id.startswith("BAD-") for each in bad)
    assert json.loads(json.dumps([each.document for each in bad])) == [each.document for each in bad]
    assert any(not each.accepted for each in bad)
    titles = {each.kind: each.document.get("title", "absent") for each in bad}
    assert titles["missing-title"] == "absent"
    assert titles["null-title"] is None
    assert titles["empty-title"] == ""
    assert titles["number-title"] == 20231111
    assert 40 * 1024 <= len(str(titles["long-title-40k"]).encode()) < 42 * 1024


def test_what_is_said_of_the_text_of_a_bad_document_holds() -> None:
    for each in bad_documents(7):
        values = [each.document.get(name) for name in TEXT]
        wrong_type = any(not isinstance(value, str | None) for value in values)
        title = each.document.get("title")
        silent = not (isinstance(title, str) and title.strip(" \t\u3000\u200b\u200d\ufeff"))
        assert each.text_is_faulty is (wrong_type or silent), each.kind


def test_more_bad_documents_than_faults_keep_their_own_ids() -> None:
    bad = list(bad_documents(7, 100))
    assert len({each.id for each in bad}) == 100


def test_the_index_has_the_analyzer_asked_for_and_no_replicas() -> None:
    definition = index_definition("cjk", shards=3)
    assert definition["settings"] == {"number_of_shards": 3, "number_of_replicas": 0}
    properties = definition["mappings"]["properties"]
    assert properties["title"] == properties["description"] == {"type": "text", "analyzer": "cjk"}
    assert (
        properties["sku"]["type"]
        == properties["brand"]["type"]
        == properties["category"]["type"]
        == "keyword"
    )
    assert properties["price"]["type"] == "double"


def test_the_chain_folds_and_keeps_models_whole() -> None:
    definition = index_definition()
    analysis = definition["settings"]["analysis"]
    assert analysis["analyzer"]["chinese"]["tokenizer"] == "smartcn_tokenizer"
    assert (
        index_definition("ik")["settings"]["analysis"]["analyzer"]["chinese_query"]["tokenizer"] == "ik_smart"
    )
    properties = definition["mappings"]["properties"]
    assert properties["title"]["analyzer"] == "chinese"
    assert properties["title"]["fields"]["models"]["analyzer"] == "models"
    assert properties["brand"]["fields"]["folded"]["normalizer"] == "folded"
    rules = analysis["char_filter"]["folding"]["mappings"]
    for written, folded in (("Ａ", "A"), ("　", " "), ("優", "优"), ("機", "机")):
        assert f"\\u{ord(written):04x}=>\\u{ord(folded):04x}" in rules
    assert len(rules) == len({rule.split("=>")[0] for rule in rules})


def test_the_index_names_every_field_of_a_document() -> None:
    [product] = generate(1)
    assert index_definition()["mappings"]["properties"].keys() == product.document().keys()


def test_the_command_writes_json_lines(tmp_path: Path) -> None:
    expected = [product.document() for product in generate(5, 9, start=3)]
    arguments = ["--count", "5", "--seed", "9", "--start", "3", "--out"]
    printed = CliRunner().invoke(main, [*arguments, "-"])
    assert printed.exit_code == 0
    assert [json.loads(line) for line in printed.output.splitlines()] == expected
    file = tmp_path / "products.jsonl"
    assert CliRunner().invoke(main, [*arguments, str(file)]).exit_code == 0
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == expected


def test_the_command_helps() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert "python -m sample_catalogue --count 2000 --seed 7 --out -" in shown.output
    undecided = CliRunner().invoke(main, [])
    assert undecided.exit_code == 2
    assert "--out FILE" in undecided.output


def test_the_command_says_which_server_failed() -> None:
    # port 1 of the loopback: nothing listens there, and nothing leaves the machine
    failed = CliRunner().invoke(main, ["--count", "1", "--elasticsearch", "http://127.0.0.1:1"])
    assert failed.exit_code == 1
    assert "http://127.0.0.1:1 did not take the products" in failed.output


def test_time_stamps_are_utc() -> None:
    [change] = mutate(7, 10, at=datetime(2026, 11, 2, tzinfo=UTC), repriced=1)
    assert change.document is not None
    assert change.document["updated_at"] == "2026-11-02T00:00:00Z"
