"""Which kind of thing a query asks for, and what fits a phone."""

import pytest
from search_plane.understanding.features import features
from search_plane.understanding.kinds import kinds_in
from search_plane.understanding.lexicon import EMPTY, Lexicon
from search_plane.understanding.synonyms import Synonyms, synonyms_of
from search_plane.understanding.understand import understand

NONE = Synonyms()


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("降噪蓝牙耳机", "蓝牙耳机"),
        ("送长辈的白酒", "白酒"),
        ("手提电脑", "笔记本电脑"),
        ("华为手表", "智能手表"),
        ("便宜点的手机", "智能手机"),
        ("熬粥的小米", "小米"),
    ],
)
def test_the_kind_is_told_by_the_words_that_few_kinds_have(
    lexicon: Lexicon, text: str, category: str
) -> None:
    kinds = understand(text, lexicon, NONE).kinds
    assert kinds[0][0] == category
    assert 0.4 <= kinds[0][1] <= 1.0
    assert sum(share for _, share in kinds) <= 1.001


def test_one_pair_of_characters_alone_is_hardly_trusted_where_the_rest_is_not_known(lexicon: Lexicon) -> None:
    understood = understand("社畜通勤背的包", lexicon, NONE)
    assert understood.kinds == (("双肩包", 0.3),)
    assert 0.1 < understood.known < 0.7
    assert understand("过年送礼的坚果", lexicon, NONE).kinds == (("坚果礼盒", 1.0),)


@pytest.mark.parametrize("text", ["父亲节礼物", "iphone 14", "便宜的", "洗头膏", ""])
def test_nothing_is_guessed_from_words_that_say_nothing_of_the_kind(lexicon: Lexicon, text: str) -> None:
    assert understand(text, lexicon, NONE).kinds == ()


@pytest.mark.parametrize(
    ("text", "category"), [("苹果手机", "智能手机"), ("华为手机", "智能手机"), ("大米10斤装", "大米")]
)
def test_brands_and_measures_tell_no_kind(lexicon: Lexicon, text: str, category: str) -> None:
    kinds = dict(understand(text, lexicon, NONE).kinds)
    assert max(kinds, key=lambda one: kinds[one]) == category
    assert kinds[category] > 0.6


def test_a_synonym_tells_the_kind_that_it_names(lexicon: Lexicon) -> None:
    assert understand("洗头膏", lexicon, synonyms_of(["洗头膏 => 洗发水"])).kinds == (("洗发水", 1.0),)


def test_an_empty_lexicon_knows_no_kind() -> None:
    assert kinds_in("蓝牙耳机", features("蓝牙耳机"), (), EMPTY) == ()


@pytest.mark.parametrize("text", ["华为mate60手机壳", "小米14用的充电器", "华为手机充电线", "苹果手机壳"])
def test_what_others_make_for_a_phone_fits_by_its_title(lexicon: Lexicon, text: str) -> None:
    assert understand(text, lexicon, NONE).fitting


def test_fitting_knows_the_names_of_a_makers_models(lexicon: Lexicon) -> None:
    assert "红米" in understand("小米手机壳", lexicon, NONE).fitting
    assert "iphone" in understand("苹果手机壳", lexicon, NONE).fitting


@pytest.mark.parametrize("text", ["华为手机", "小米电饭煲", "熬粥的小米", "脆甜的苹果", "戴森吹风机"])
def test_a_makers_own_kinds_fit_nothing(lexicon: Lexicon, text: str) -> None:
    assert understand(text, lexicon, NONE).fitting == ()


def test_a_brands_numbered_model_is_one_piece(lexicon: Lexicon) -> None:
    assert understand("小米14手机壳", lexicon, NONE).whole == ("小米14",)
    assert understand("小米14用的充电器", lexicon, NONE).whole == ("小米14",)
    assert "小米5" not in understand("小米5斤", lexicon, NONE).whole


def test_synonyms_of_what_is_not_wanted_are_not_wanted_either(lexicon: Lexicon) -> None:
    understood = understand("手机 不要老人机", lexicon, synonyms_of(["老人机, 老年机, 老人手机"]))
    assert understood.excluded == ("老人机", "老年机", "老人手机")


@pytest.mark.parametrize(
    ("text", "rest", "excluded"),
    [("猫粮 不要鸡肉味", "猫粮", "鸡肉"), ("电动牙刷 不要儿童款", "电动牙刷", "儿童")],
)
def test_a_sort_is_said_of_what_titles_call_without_it(
    lexicon: Lexicon, text: str, rest: str, excluded: str
) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.text, understood.excluded) == (rest, (excluded,))


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("2000到3000的手机", (2000.0, 3000.0)),
        ("3000-2000的手机", (None, None)),
        ("20到30岁的衣服", (None, None)),
        ("100-200mm的板", (None, None)),
    ],
)
def test_two_round_sums_need_no_currency(
    lexicon: Lexicon, text: str, bounds: tuple[float | None, float | None]
) -> None:
    understood = understand(text, lexicon, NONE)
    assert (understood.price_min, understood.price_max) == bounds


@pytest.mark.parametrize(
    ("text", "word"), [("贵一点的面霜", "high"), ("不要太贵的面霜", "low"), ("贵妃糕", None)]
)
def test_dear_is_a_word_of_price(lexicon: Lexicon, text: str, word: str | None) -> None:
    assert understand(text, lexicon, NONE).price == word
