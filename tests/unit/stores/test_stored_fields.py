"""What a row holds of its product, and how a condition names it."""

import math
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.jobs.rendering import Rendered, Renderer, content_part
from search_plane.release.record import CatalogueFields, HnswIndex, ReleaseRecord
from search_plane.release.stored import MAX_BYTES, StoredFields, stored_fields, stored_text, told
from search_plane.stores.expression import literal, stored_condition
from search_plane.stores.schema import collection_schema

from sample_catalogue import bad_documents, generate
from tests.unit.gateway.snapshots import identity

FIELDS = CatalogueFields()
PRODUCT: Mapping[str, Any] = {
    "sku": "p-1",
    "title": "小米 蓝牙耳机",
    "brand": "小米",
    "category": "耳机",
    "price": 99.5,
    "stock": 3,
}
# Anything that JSON can say, lone surrogates among it: Elasticsearch's source is what somebody wrote.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_a_products_fields_are_stored_and_told() -> None:
    stored = stored_fields(PRODUCT, FIELDS)
    assert stored == StoredFields("小米 蓝牙耳机", "小米", "耳机", 99.5, True)
    assert told(stored.columns()) == {
        "title": "小米 蓝牙耳机",
        "brand": "小米",
        "category": "耳机",
        "price": 99.5,
        "in_stock": True,
    }


def test_what_a_document_lacks_is_told_as_nothing() -> None:
    assert told(stored_fields({}, FIELDS).columns()) == {
        "title": None,
        "brand": None,
        "category": None,
        "price": None,
        "in_stock": False,
    }


@pytest.mark.parametrize(
    ("value", "price"),
    [
        ("12.5", 12.5),
        (0, 0.0),
        ([7, 9], 7.0),
        ([], None),
        (-1.0, None),
        (True, None),
        ("面议", None),
        ("nan", None),
        (math.inf, None),
        (10**400, None),
        ({"amount": 5}, None),
    ],
)
def test_prices_are_read_as_elasticsearch_reads_them_or_are_none(value: object, price: float | None) -> None:
    assert told(stored_fields({"price": value}, FIELDS).columns())["price"] == price


@pytest.mark.parametrize(
    ("stock", "there"),
    [
        (3, True),
        ("3", True),
        (0, False),
        (-2, False),
        (True, True),
        (False, False),
        ("有货", False),
        ([0, 5], False),
    ],
)
def test_in_stock_is_more_than_none(stock: object, there: bool) -> None:
    assert stored_fields({"stock": stock}, FIELDS).in_stock is there


def test_fields_are_found_where_the_catalogue_keeps_them() -> None:
    names = CatalogueFields(title="name", brand="maker.name", price="offer.price", stock="offer.left")
    source = {"name": "茶", "maker": {"name": "天福"}, "offer": {"price": 30, "left": 1}}
    assert stored_fields(source, names) == StoredFields("茶", "天福", "", 30.0, True)


@given(st.dictionaries(st.sampled_from(sorted(PRODUCT)), JSON))
def test_any_document_fits_into_the_row(document: dict[str, object]) -> None:
    columns = stored_fields(document, FIELDS).columns()
    for field, most in MAX_BYTES.items():
        assert len(str(columns[field]).encode()) <= most
    assert isinstance(columns["price"], float)
    assert math.isfinite(columns["price"])
    assert isinstance(columns["in_stock"], bool)


@given(st.text(), st.sampled_from(sorted(MAX_BYTES)))
def test_a_long_text_is_cut_between_characters(text: str, field: str) -> None:
    cut = stored_text(field, text * 200)
    assert (text * 200).encode(errors="ignore").decode().startswith(cut)
    assert stored_text(field, cut) == cut


@pytest.mark.parametrize("field", ["title", "brand", "category", "price", "stock"])
def test_each_field_changes_the_rows_hash_and_not_the_texts(field: str) -> None:
    renderer = Renderer("{sku}", "sku", FIELDS)
    before = renderer.render("p-1", PRODUCT)
    after = renderer.render("p-1", {**PRODUCT, field: 0 if field == "stock" else "12"})
    assert isinstance(before, Rendered)
    assert isinstance(after, Rendered)
    assert before.content_hash == after.content_hash == content_part(before.row_hash)
    assert before.row_hash != after.row_hash
    assert len(before.row_hash) == 48


def test_stock_that_stays_above_none_leaves_the_row_alone() -> None:
    renderer = Renderer("{title}", "sku", FIELDS)
    before, after = (renderer.render("p-1", {**PRODUCT, "stock": stock}) for stock in (3, 2))
    assert before == after


def test_without_fields_the_rows_hash_is_the_texts() -> None:
    renderer = Renderer("{title}", "sku")
    rendered = renderer.render("p-1", PRODUCT)
    assert isinstance(rendered, Rendered)
    assert (rendered.stored, rendered.row_hash) == (None, rendered.content_hash)
    assert renderer.source_fields == ["title", "sku"]
    assert renderer.storing(FIELDS).source_fields == ["title", "sku", "brand", "category", "price", "stock"]


def test_every_sample_product_and_fault_can_be_stored() -> None:
    sources = [product.document() for product in generate(200, 7)]
    sources += [bad.document for bad in bad_documents(7)]
    for source in sources:
        orjson.dumps(stored_fields(source, FIELDS).columns())


@given(st.text())
def test_a_text_in_a_condition_is_one_literal(text: str) -> None:
    """Every quote within is escaped, so that the only bare ones are its ends."""
    written = literal(text)
    assert written[0] == written[-1] == '"'
    assert '"' not in written[1:-1].replace("\\\\", "").replace('\\"', "")
    assert "\n" not in written
    assert orjson.loads(written) == text.encode(errors="ignore").decode()


@pytest.mark.parametrize("bound", [math.nan, math.inf, -math.inf])
def test_a_bound_that_is_no_number_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="no number"):
        stored_condition(price_max=bound)
    with pytest.raises(ValueError, match="no number"):
        stored_condition(price_min=bound)


def test_a_condition_says_all_that_is_asked() -> None:
    assert stored_condition() == ""
    assert stored_condition("耳机", ["小米", '米"家'], 10, 99.5, True) == (
        'category == "耳机" and brand in ["小米","米\\"家"] and price >= 10.0 and price <= 99.5 and in_stock == true'
    )
    # Without a lower bound a product without a price would pass.
    assert stored_condition(price_max=5) == "price >= 0.0 and price <= 5.0"
    assert stored_condition(price_min=-3) == "price >= 0.0"
    long = "牌" * 200
    assert stored_condition(brands=[long]) == f'brand in ["{long[:85]}"]'


def test_records_made_before_say_that_nothing_is_stored() -> None:
    record = ReleaseRecord(
        namespace="shop",
        index="products",
        release="r-1",
        encoder=identity(),
        hnsw=HnswIndex(),
        shards=1,
        row_schema=2,
    )
    written = orjson.loads(record.to_description())
    assert ReleaseRecord.from_description(orjson.dumps(written).decode()) == record
    del written["row_schema"]
    before = ReleaseRecord.from_description(orjson.dumps(written).decode())
    assert before is not None
    assert (record.stores_fields, before.stores_fields) == (True, False)
    names = [
        {field.name for field in collection_schema(made).fields} - {"id", "dense", "content_hash"}
        for made in (before, record)
    ]
    assert names == [set(), {"title", "brand", "category", "price", "in_stock"}]
