"""Folding: what is typed in many ways becomes one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.understanding.folding import folded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＩＰＨＯＮＥ　１５", "iphone 15"),
        ("藍牙耳機", "蓝牙耳机"),
        ("澳優康", "澳优康"),
        ("  Type-C \t 数据线 ", "type-c 数据线"),
        ("㎏", "kg"),
        ("小\u200b米", "小米"),
        ("小米（ＭＩ）", "小米(mi)"),
        ("\ud800小米", "小米"),
        ("", ""),
    ],
)
def test_one_spelling(text: str, expected: str) -> None:
    assert folded(text) == expected


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
