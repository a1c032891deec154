"""Measures that are the same in other units."""

import pytest
from search_plane.understanding.measures import names_whole, same_measures


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("10斤", "5kg"),
        ("1.5升", "1.5l"),
        ("1.5l", "1500ml"),
        ("20000毫安", "20000mah"),
        ("55寸", "55英寸"),
        ("1.8米", "1.8m"),
    ],
)
def test_a_measure_is_written_in_several_ways(name: str, also: str) -> None:
    assert also in same_measures(name)
    assert name not in same_measures(name)


@pytest.mark.parametrize("name", ["iphone 15", "type-c", "87键", "k70", "53度", "0kg"])
def test_what_is_no_measure_of_these_units_has_no_other_way(name: str) -> None:
    assert same_measures(name) == ()


@pytest.mark.parametrize(
    ("title", "name", "named"),
    [
        ("五常大米 5kg 真空", "10斤", True),
        ("五常大米 15kg 真空", "10斤", False),
        ("五常大米 5.5kg", "5kg", False),
        ("适用iphone 15 充电器", "iphone 15", True),
        ("适用iphone 15 pro max 充电器", "iphone 15", False),
    ],
)
def test_a_title_names_it_in_any_of_them(title: str, name: str, named: bool) -> None:
    assert names_whole(title, name) is named
