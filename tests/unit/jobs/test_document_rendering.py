"""A document becomes one clean text, or a named reason why it does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.jobs.rendering import Rendered, Renderer, Unusable, clean, content_hash

RENDERER = Renderer("{brand} {title} {attributes.color}", "sku")


def render(source: dict[str, Any], document_id: str = "p-1") -> Rendered | Unusable:
    return RENDERER.render(document_id, {"sku": document_id, **source})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"brand": "小米", "title": "充电器"}, "小米 充电器"),
        ({"title": "充电器", "attributes": {"color": "白"}}, "充电器 白"),
        ({"title": "充电器", "attributes.color": "白"}, "充电器 白"),
        ({"title": "充电器", "attributes": [{"color": "白"}, {"color": "黑"}, {}]}, "充电器 白 黑"),
        ({"title": ["充电器", "快充"], "brand": None}, "充电器 快充"),
        ({"title": 5, "brand": 5.0}, "5 5"),
        ({"title": 2.5}, "2.5"),
        ({"title": True}, "true"),
        ({"title": " 充\u200b电\x00器\n\t 快\u3000充 \ud800"}, "充电器 快 充"),
        ({"title": "{brand}", "brand": "x"}, "x {brand}"),
    ],
)
def test_fields_become_one_clean_text(source: dict[str, Any], text: str) -> None:
    rendered = render(source)
    assert rendered == Rendered("p-1", text, content_hash(text))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({}, "no text in brand, title, attributes.color"),
        ({"title": " \u3000\x00"}, "no text in"),
        ({"title": []}, "no text in"),
        ({"title": {"zh": "充电器"}}, "title is an object; name one of its fields, e.g. {title.zh}"),
        ({"title": "x", "sku": None}, "sku is missing"),
        ({"title": "x", "sku": 17}, "sku is 17, not a string"),
        ({"title": "x", "sku": "p-2"}, "sku is 'p-2' but the document's _id is another"),
    ],
)
def test_a_bad_document_is_named_with_its_reason(source: dict[str, Any], reason: str) -> None:
    rendered = render(source)
    assert isinstance(rendered, Unusable)
    assert rendered.id == "p-1"
    assert reason in rendered.reason


@pytest.mark.parametrize("document_id", ["货" * 43, "a\nb"])
def test_an_id_that_milvus_cannot_hold_is_refused(document_id: str) -> None:
    assert isinstance(render({"title": "x"}, document_id), Unusable)


def test_the_longest_id_is_taken() -> None:
    assert isinstance(render({"title": "x"}, "a" * 128), Rendered)


def test_literals_alone_are_no_text() -> None:
    renderer = Renderer("品牌 {brand}", "_id")
    assert isinstance(renderer.render("1", {}), Unusable)
    assert renderer.render("1", {"brand": "小米"}) == Rendered("1", "品牌 小米", content_hash("品牌 小米"))
    assert renderer.source_fields == ["brand"]


def test_a_template_without_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="names no field"):
        Renderer("商品", "sku")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=40), st.dictionaries(st.sampled_from(["sku", "brand", "title", "attributes"]), JSON))
def test_no_document_raises_and_every_text_is_clean(document_id: str, source: dict[str, Any]) -> None:
    rendered = RENDERER.render(document_id, source)
    if isinstance(rendered, Rendered):
        assert rendered.text == clean(rendered.text) != ""
        assert rendered.content_hash == content_hash(rendered.text)
