"""How catalogue and collection differ, and that only what two readings agree on counts."""

from search_plane.jobs.verify_rows import Differences, differences


def test_each_kind_of_difference_is_told_apart() -> None:
    wanted = {"same": "1", "changed": "1", "missing": "1"}
    held = {"same": "1", "changed": "2", "extra": "1"}
    found = differences(wanted, held, wanted.keys() | held.keys())
    assert found == Differences(missing={"missing"}, extra={"extra"}, stale={"changed"})
    assert found.all() == ["changed", "extra", "missing"]


def test_an_id_that_neither_side_has_any_more_is_no_difference() -> None:
    assert differences({}, {}, ["gone"]) == Differences()


def test_what_differs_otherwise_the_second_time_is_not_counted() -> None:
    first = Differences(missing={"a", "b"}, extra={"c"}, stale={"d"})
    later = Differences(missing={"a"}, extra={"d"}, stale={"c"})
    assert first.also_in(later) == Differences(missing={"a"})


def test_parts_add_up() -> None:
    found = Differences(missing={"a"})
    found.add(Differences(missing={"b"}, extra={"c"}, stale={"d"}))
    assert found == Differences(missing={"a", "b"}, extra={"c"}, stale={"d"})
