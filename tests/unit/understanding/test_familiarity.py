"""How much of a query the catalogue's words know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.understanding.familiarity import known_share
from search_plane.understanding.features import features
from search_plane.understanding.lexicon import EMPTY, Lexicon
from search_plane.understanding.synonyms import Synonyms, synonyms_of
from search_plane.understanding.understand import understand

NONE = Synonyms()


@pytest.mark.parametrize(
    "text", ["降噪蓝牙耳机", "小米手机充电器", "type-c 数据线", "iphone 15 手机壳", "5kg大米", ""]
)
def test_what_titles_say_is_known_whole(lexicon: Lexicon, text: str) -> None:
    assert understand(text, lexicon, NONE).known == 1.0


@pytest.mark.parametrize("text", ["汪星人", "犇犇骉骉", "qwrtz"])
def test_what_no_title_says_is_not_known(lexicon: Lexicon, text: str) -> None:
    assert understand(text, lexicon, NONE).known == 0.1


def test_of_slang_the_share_is_known_that_titles_say(lexicon: Lexicon) -> None:
    assert 0.2 < understand("汪星人的口粮", lexicon, NONE).known < 0.6


def test_words_with_synonyms_are_known(lexicon: Lexicon) -> None:
    assert understand("汪星人", lexicon, synonyms_of(["汪星人 => 狗粮"])).known == 1.0


def test_slips_are_known_by_what_was_meant(lexicon: Lexicon) -> None:
    assert understand("蓝芽耳机", lexicon, NONE).known == 1.0


@given(st.text("汪星的口粮ab12 ", max_size=20))
def test_a_share_is_a_share(text: str) -> None:
    assert known_share(text, features(text), (), EMPTY) == 1.0
    assert 0.1 <= known_share(text, features(text), (), Lexicon(words={"口粮": 3})) <= 1.0
