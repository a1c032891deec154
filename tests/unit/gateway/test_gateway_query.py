"""What a caller may ask."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.faults import BadQuery
from search_plane.gateway.query import MAX_CHARACTERS, MAX_K, Asked, checked_k, checked_query, checked_text


@pytest.mark.parametrize(
    ("given_text", "understood"),
    [
        ("便宜的蓝牙耳机", "便宜的蓝牙耳机"),
        ("  小米手机充电器\n", "小米手机充电器"),
        ("ＵＳＢ－Ｃ　充电器", "USB-C 充电器"),
        ("大米 ５ＫＧ", "大米 5KG"),
        ("\u3000\u00a0送老人\u3000", "送老人"),
        ("👨‍👩‍👧 全家", "👨‍👩‍👧 全家"),
        ("米" * MAX_CHARACTERS, "米" * MAX_CHARACTERS),
    ],
)
def test_a_query_is_normalised_and_trimmed(given_text: str, understood: str) -> None:
    assert checked_text(given_text) == understood


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u3000\n\t",
        "手机\x00壳",
        "手\x1b[31m机",
        "手\n机",
        "手机\x7f壳",
        "手\ufffd机",
        "米" * 257,
        "\ufdfa" * 20,
        "米" * 5000,
    ],
)
def test_a_bad_query_is_refused_and_the_message_names_q(text: str) -> None:
    with pytest.raises(BadQuery, match="q must") as refused:
        checked_text(text)
    assert refused.value.field == "q"


@given(st.text(max_size=400))
def test_what_passes_keeps_the_rules_and_passes_again(text: str) -> None:
    try:
        understood = checked_text(text)
    except BadQuery:
        return
    assert 1 <= len(understood) <= MAX_CHARACTERS
    assert understood == understood.strip()
    assert unicodedata.is_normalized("NFKC", understood)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in understood)
    assert checked_text(understood) == understood


@given(
    st.text(
        alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=14
    )
)
def test_no_ordinary_text_is_refused(text: str) -> None:
    if "\ufffd" not in text and unicodedata.normalize("NFKC", text).strip():
        assert checked_text(text)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_k_may_be_as_deep_as_the_release(k: int) -> None:
    assert checked_k(k, top_k=50) == k


@pytest.mark.parametrize(
    ("k", "top_k", "limit"), [(0, 100, 100), (-1, 100, 100), (101, 500, MAX_K), (51, 50, 50)]
)
def test_k_outside_its_range_is_refused_with_the_range(k: int, top_k: int, limit: int) -> None:
    with pytest.raises(BadQuery, match=f"between 1 and {limit}, it is {k}") as refused:
        checked_query(Asked("手机", k), top_k)
    assert refused.value.field == "k"
