"""What a query itself rules in and out."""

import pytest
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.gateway.within import EVERYTHING, Within, within
from search_plane.release.record import CatalogueFields
from search_plane.understanding.understood import Understood, as_written

FIELDS = CatalogueFields()


def lets(wanted: Within, **document: str) -> bool:
    return wanted.lets_through({"brand": "图拉斯", "category": "手机壳", **document}, FIELDS)


def understood(**known: object) -> Understood:
    return Understood("手机壳", "手机壳", **known)  # type: ignore[arg-type]


def test_nothing_said_restricts_nothing() -> None:
    assert within(NO_FILTERS, as_written("手机壳")) == EVERYTHING
    assert not EVERYTHING


def test_sums_of_money_are_a_filter_unless_the_caller_has_one() -> None:
    asked = understood(price_min=100.0, price_max=200.0)
    assert within(NO_FILTERS, asked).filters == Filters(price_min=100.0, price_max=200.0)
    assert within(Filters(price_max=50.0), asked).filters == Filters(price_max=50.0)


def test_what_fits_is_of_the_brand_or_names_it() -> None:
    wanted = within(NO_FILTERS, understood(brands=("小米",), brand_certain=True, fitting=("小米", "redmi")))
    assert wanted.filters == NO_FILTERS
    assert lets(wanted, title="适用小米14 手机壳")
    assert lets(wanted, title="适配ＲＥＤＭＩ K70 手机壳")
    assert lets(wanted, title="手机壳", brand="小米")
    assert not lets(wanted, title="适用华为P60 手机壳")
    assert not lets(wanted, title="适用redmix 手机壳")


def test_the_callers_brands_count_more_than_what_fits() -> None:
    asked = understood(brands=("小米",), fitting=("小米",))
    assert within(Filters(brands=("图拉斯",)), asked) == Within(Filters(brands=("图拉斯",)))


def test_brands_that_are_not_wanted_are_ruled_out_by_the_field() -> None:
    wanted = within(NO_FILTERS, understood(excluded_brands=("图拉斯",)))
    assert not lets(wanted, title="手机壳")
    assert lets(wanted, title="手机壳", brand="亿色")


@pytest.mark.parametrize(
    ("title", "through"),
    [
        ("MINI LED电视", True),
        ("MI电视", False),
        ("ＭＩ 电视", False),
        ("米家 电视", True),
        ("Xiaomi电视", True),
    ],
)
def test_a_latin_word_is_excluded_only_in_one_piece(title: str, through: bool) -> None:
    assert lets(within(NO_FILTERS, understood(excluded=("mi",))), title=title) is through
