"""Models and measures that must match in one piece."""

from __future__ import annotations

import pytest
from search_plane.understanding.folding import folded
from search_plane.understanding.measures import names_model, other_models_of, whole_in


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("20W快充充电器", ("20w",)),
        ("20 w 充电器", ("20w",)),
        ("5000mAh充电宝", ("5000mah",)),
        ("Type-C数据线", ("type-c",)),
        ("12GB+256GB手机", ("12gb+256gb",)),
        ("iPhone 15 手机壳", ("iphone 15",)),
        ("iPhone15手机壳", ("iphone15",)),
        ("iPhone 15 Pro Max手机壳", ("iphone 15 pro max",)),
        ("WF-1000XM5", ("wf-1000xm5",)),
        ("红米K70手机壳", ("k70",)),
        ("wifi6路由器", ("wifi6",)),
        ("1.5米数据线", ("1.5米",)),
        ("55英寸电视", ("55英寸",)),
        ("redmi buds 5", ("redmi buds 5",)),
        ("蓝牙5.3耳机", ()),
        ("小米手机", ()),
        ("usb 20w", ("20w",)),
    ],
)
def test_what_is_whole(text: str, whole: tuple[str, ...]) -> None:
    assert whole_in(folded(text)) == whole


def test_at_most_eight() -> None:
    assert len(whole_in(" ".join(f"k{number}" for number in range(20)))) == 8


def test_a_longer_model_is_another_one() -> None:
    title = folded("适用iPhone 15 Pro Max 手机壳")
    assert not names_model(title, "iphone 15")
    assert names_model(title, "iphone 15 pro max")
    assert names_model(folded("苹果 iPhone15 手机壳"), "iphone 15")
    assert not names_model(folded("iPhone 151"), "iphone 15")
    assert "iphone 15 pro" in other_models_of(("iphone 15",))
    assert other_models_of(("20w", "5000mah", "type-c")) == ()
