"""What a query says of the price."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.understanding.price import Price, price_in


@pytest.mark.parametrize(
    "word", ["便宜的耳机", "实惠耳机", "性价比之王 耳机", "白菜价耳机", "不贵的耳机", "耳机 不要太贵"]
)
def test_words_for_low(word: str) -> None:
    assert price_in(word) == Price(word, "low")


@pytest.mark.parametrize("word", ["高端耳机", "土豪专属耳机", "旗舰手机", "不差钱首选"])
def test_words_for_high(word: str) -> None:
    assert price_in(word) == Price(word, "high")


@pytest.mark.parametrize("word", ["耳机", "官方旗舰店手机", "高端又便宜"])
def test_words_for_neither(word: str) -> None:
    assert price_in(word) == Price(word)


@pytest.mark.parametrize(
    ("text", "rest", "least", "most"),
    [
        ("200元以下的耳机", "耳机", None, 200),
        ("耳机 200块以内", "耳机", None, 200),
        ("耳机200以内", "耳机", None, 200),
        ("不超过300元的耳机", "耳机", None, 300),
        ("2000元以上的手机", "手机", 2000, None),
        ("3千元以内手机", "手机", None, 3000),
        ("1.5万元以下的电视", "电视", None, 15000),
        ("300-500元蓝牙音箱", "蓝牙音箱", 300, 500),
        ("300到500块的音箱", "音箱", 300, 500),
        ("两百块左右的充电宝", "充电宝", 140, 260),
        ("一千五百元以内手机", "手机", None, 1500),
        ("千元手机", "手机", 1000, 2000),
        ("百元耳机", "耳机", 100, 200),
    ],
)
def test_sums_bound_the_price(text: str, rest: str, least: float | None, most: float | None) -> None:
    assert price_in(text) == Price(rest, None, least, most)


@pytest.mark.parametrize(
    "text", ["5000mah以上充电宝", "100以内加减法", "3岁以下玩具", "20w充电器", "500-300元耳机", "元宝"]
)
def test_other_numbers_do_not(text: str) -> None:
    assert price_in(text) == Price(text)


def test_a_sum_alone_is_still_looked_for() -> None:
    assert price_in("200元以下") == Price("200元以下", None, None, 200)


@given(st.text(alphabet="0123456789一二两十百千万元块钱以内下上到-~k. 左右不超过", max_size=40))
def test_any_text_is_read(text: str) -> None:
    price = price_in(text)
    assert price.least is None or price.most is None or price.least <= price.most
