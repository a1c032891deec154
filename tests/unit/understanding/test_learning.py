"""What is learnt from a catalogue: names of brands, their meanings, what fits them; and how well slips are told."""

from __future__ import annotations

from collections import Counter

import pytest
from search_plane.gateway.lexicon import countable_fields
from search_plane.understanding.brand_names import series_in_titles, spellings_of
from search_plane.understanding.folding import folded
from search_plane.understanding.learning import Title, lexicon_of
from search_plane.understanding.lexicon import EMPTY, Lexicon
from search_plane.understanding.synonyms import Synonyms
from search_plane.understanding.understand import understand

from sample_catalogue import generate
from sample_catalogue.words import ProductType, product_types, wording

NONE = Synonyms()


@pytest.mark.parametrize(
    ("value", "spellings"),
    [
        ("小米", {"小米"}),
        ("小米/Xiaomi", {"小米/xiaomi", "小米", "xiaomi"}),
        ("小米（MI）", {"小米(mi)", "小米", "mi"}),
        ("Apple 苹果", {"apple 苹果", "apple", "苹果"}),
        ("华为HUAWEI", {"华为huawei", "华为", "huawei"}),
        ("小米官方旗舰店", {"小米"}),
        ("The North Face", {"the north face"}),
        ("欧乐B", {"欧乐b"}),
        ("澳優康", {"澳优康"}),
        ("X", set()),
        (" ", set()),
    ],
)
def test_names_that_a_brands_field_holds(value: str, spellings: set[str]) -> None:
    assert set(spellings_of(value)) == spellings


def test_names_by_which_titles_begin(lexicon: Lexicon) -> None:
    assert set(lexicon.brands["小米"].spellings) == {"小米", "米家", "mi", "xiaomi"}
    assert set(lexicon.brands["倍思"].spellings) == {"倍思", "baseus"}
    assert set(lexicon.brands["北面"].spellings) == {"北面", "the north face"}
    owners = {spelling: values for spelling, values in lexicon.spellings.items() if len(values) > 1}
    assert owners == {}


def test_the_learnt_names_are_those_of_the_vocabulary(lexicon: Lexicon) -> None:
    """No name is taken for another brand's; those that few titles hold may be missing."""
    real = {
        folded(alias): brand for brand, aliases in wording().brand_aliases.items() for alias in aliases
    } | {part: brand for brand, part in (("小米", "mi"), ("Bose", "博士bose"))}
    learnt = {
        spelling: brand.value
        for brand in lexicon.brands.values()
        for spelling in brand.spellings
        if spelling not in spellings_of(brand.value)
    }
    assert learnt.items() <= real.items()
    assert len(learnt) >= 25


def test_which_names_are_common_words(lexicon: Lexicon) -> None:
    assert {"小米", "苹果", "360"} <= {brand.value for brand in lexicon.brands.values() if brand.common_word}
    assert not any(lexicon.brands[value].common_word for value in ("华为", "倍思", "三只松鼠", "OPPO"))
    assert set(lexicon.brands["小米"].other_senses) == {"小米", "婴儿米粉"}


def test_what_fits_a_brand_is_what_the_labels_say(lexicon: Lexicon) -> None:
    real: dict[str, Counter[str]] = {}
    for product in generate(5_000, 7):
        fits = product.labels.fits_brand
        if fits and fits != product.brand:
            real.setdefault(fits, Counter())[product.category] += 1
    for value, counts in real.items():
        learnt = lexicon.brands[value].fitted
        for category, count in counts.items():
            assert learnt.get(category, 0) == pytest.approx(count, abs=2), (value, category)


def test_series_belong_to_the_brand_whose_titles_say_them() -> None:
    own = [Title("苹果 iphone 15 手机", "苹果", "手机")] * 5
    others = [Title("绿联 适用iphone 14 手机壳", "绿联", "手机壳")] * 9
    assert series_in_titles([*own, *others]) == {"iphone": "苹果"}
    assert series_in_titles(others) == {}


def test_without_titles_pairs_are_enough_for_plain_brands() -> None:
    lexicon = lexicon_of({("华为", "手机"): 3, ("", "手机"): 1}, [])
    assert understand("华为手机", lexicon, NONE).brands == ("华为",)
    assert lexicon.categories == {"手机": 4}


def test_without_pairs_titles_are_enough() -> None:
    lexicon = lexicon_of({}, [Title("华为 手机", "华为", "手机")])
    assert lexicon.brands["华为"].categories == {"手机": 1}


def test_nothing_to_learn() -> None:
    assert lexicon_of({}, []) == EMPTY


def _slips() -> list[tuple[str, str]]:
    """(typed, meant): each slip that the vocabulary knows, in each name of a thing that holds it."""
    names = {name for kind in product_types() for name in (kind.name, *kind.names)}
    return [
        (name.replace(right, wrong), folded(name))
        for right, wrong in wording().typos.items()
        for name in sorted({right, *(name for name in names if right in name)})
    ]


def test_nearly_all_slips_of_the_vocabulary_are_mended(lexicon: Lexicon) -> None:
    """Not 大来, which only looks like 大米."""
    slips = [slip for slip in _slips() if "大来" not in slip[0]]
    mended = [typed for typed, meant in slips if understand(typed, lexicon, NONE).text == meant]
    assert len(slips) == 122
    assert len(mended) >= 0.97 * len(slips)


def test_no_word_of_the_catalogue_is_changed(lexicon: Lexicon) -> None:
    words = {word for kind in product_types() for word in (kind.name, *kind.names, *kind.features)} | {
        brand + kind.name for kind in product_types() for band in kind.bands.values() for brand in band.brands
    }
    changed = {word: understand(word, lexicon, NONE).text for word in words}
    assert {word: text for word, text in changed.items() if text != folded(word)} == {}


def test_few_words_that_the_catalogue_does_not_have_are_changed() -> None:
    """A shop of every second kind of thing, asked for the others."""
    kinds = product_types()
    sold = {kind.name for kind in kinds[::2]}
    products = [product for product in generate(10_000, 7) if product.labels.product_type in sold]
    pairs = Counter((product.brand, product.category) for product in products)
    lexicon = lexicon_of(pairs, [Title(one.title, one.brand, one.category) for one in products])

    def words(kind: ProductType) -> set[str]:
        return {kind.name, *kind.names, *kind.features}

    unknown = sorted(set().union(*(words(kind) for kind in kinds[1::2])))
    changed = [word for word in unknown if understand(word, lexicon, NONE).corrections]
    assert len(unknown) > 400
    assert len(changed) <= 0.02 * len(unknown), changed


def test_fields_that_can_be_counted() -> None:
    keyword, text = {"keyword": {"aggregatable": True}}, {"text": {"aggregatable": False}}
    answer = {"brand": text, "brand.keyword": keyword, "category": keyword, "other": keyword | text}
    assert countable_fields(answer, ["brand", "category", "other", "none"]) == {
        "brand": "brand.keyword",
        "category": "category",
    }
