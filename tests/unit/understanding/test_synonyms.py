"""Synonyms of the resource: read, refused, found."""

from __future__ import annotations

import re

import pytest
from search_plane.understanding.synonyms import MAX_LINE_LENGTH, MAX_LINES, synonyms_of


def test_words_of_a_group_stand_for_each_other() -> None:
    synonyms = synonyms_of(["便宜, 实惠, 性價比高"])
    assert synonyms.groups_in("便宜的耳机") == (("便宜", "实惠", "性价比高"),)
    assert synonyms.groups_in("性价比高的耳机") == (("性价比高", "便宜", "实惠"),)


def test_one_direction() -> None:
    synonyms = synonyms_of(["充电头 => 充电器，电源适配器"])
    assert synonyms.groups_in("充电头") == (("充电头", "充电器", "电源适配器"),)
    assert synonyms.groups_in("充电器") == ()


def test_the_longest_word_is_taken() -> None:
    synonyms = synonyms_of(["手机, 电话", "手机壳, 保护套"])
    assert synonyms.groups_in("手机壳") == (("手机壳", "保护套"),)


def test_latin_words_are_whole() -> None:
    synonyms = synonyms_of(["mi, 小米"])
    assert synonyms.groups_in("mini 音箱") == ()
    assert synonyms.groups_in("MI 音箱".lower()) == (("mi", "小米"),)


def test_a_word_of_two_lines_has_the_words_of_both() -> None:
    assert synonyms_of(["a, b", "a => c"]).groups_in("a") == (("a", "b", "c"),)


def test_comments_and_empty_lines_say_nothing() -> None:
    assert synonyms_of(["# of prices", "", "  "]).groups_in("of prices") == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("便宜", "holds one word"),
        ("便宜,,实惠", "empty word"),
        ("便宜 =>", "empty word"),
        ("=> 便宜", "empty word"),
        ("a => b => c", "more than one =>"),
        ("a, " * MAX_LINE_LENGTH + "a", "characters, at most 512"),
    ],
)
def test_a_bad_line_is_named(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"line 2 .*{re.escape(reason)}"):
        synonyms_of(["a, b", line])


def test_too_many_lines() -> None:
    with pytest.raises(ValueError, match=f"{MAX_LINES + 1} lines, at most {MAX_LINES}"):
        synonyms_of(["a, b"] * (MAX_LINES + 1))
