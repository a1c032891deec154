"""What is taken out of logged queries, and what is a product and stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.scrubbing import scrubbed


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("送到13812345678", "送到[phone]"),
        ("13812345678", "[phone]"),
        ("tel13812345678谢谢", "tel[phone]谢谢"),
        ("+86 138-1234-5678 耳机", "[phone] 耳机"),
        ("008613812345678", "[phone]"),
        ("138 1234 5678", "[phone]"),
        ("１３８１２３４５６７８", "[phone]"),
        ("138.1234.5678", "[phone]"),
        ("010-12345678", "[phone]"),
        ("(0571)87654321", "[phone]"),
        ("张三 11010519491231002X 手机", "张三 [number] 手机"),
        ("110105194912310021", "[number]"),
        ("110105 19491231 002x", "[number]"),
        ("130503670401001", "[number]"),
        ("6222 0212 3456 7890 123", "[number]"),
        ("zhang.san+x@example.com.cn", "[email]"),
        ("发票 Li_Si@QQ.com 手机壳", "发票 [email] 手机壳"),
        ("微信号:abc_12345", "[account]"),
        ("加微信 zhangsan88 买", "加[account] 买"),
        ("QQ：12345678", "[account]"),
    ],
)
def test_what_points_at_a_person_goes(written: str, kept: str) -> None:
    assert scrubbed(written) == kept


@pytest.mark.parametrize(
    "query",
    [
        "小米手机充电器 20W", "iPhone 15 128GB", "Type-C 数据线 1.5m", "6901028075831", "大米 5kg 2 袋", "RTX4090 24G",
        "1000mAh 充电宝", "5号电池 24 粒", "100-200元 耳机", "2024-11-11", "微信小程序", "WH-1000XM5",
        "13寸 16GB 512GB 2023款",        "qq糖", "微信支付", "VX6 跑鞋",
    ],
)  # fmt: skip
def test_what_names_a_product_stays(query: str) -> None:
    assert scrubbed(query) == query


@given(
    st.text(alphabet="小米耳机买送 ", max_size=8),
    st.integers(0, 10**9 - 1),
    st.text(alphabet="的给 号", max_size=4),
)
def test_no_mobile_number_survives_among_other_words(before: str, tail: int, after: str) -> None:
    number = f"13{tail:09d}"
    assert number not in scrubbed(f"{before}{number}{after}")


@given(st.text(max_size=256))
def test_it_never_fails_and_doing_it_twice_changes_nothing(text: str) -> None:
    once = scrubbed(text)
    assert scrubbed(once) == once
