"""How long the stores' last word holds while a switch waits for its gateways."""

from search_operator.observe.observation import CatalogueView, MilvusView, Problem
from search_operator.observe.recent import HELD_SECONDS, RecentStores, Stores

KEY = ("shop", "products")
SAID = Stores(at=100.0, generation=7, milvus=MilvusView(alias_target="a"), catalogue=CatalogueView())


def noted(said: Stores = SAID) -> RecentStores:
    recent = RecentStores()
    recent.note(KEY, said)
    return recent


def test_what_is_not_held_is_asked_anew() -> None:
    recent = noted()
    assert recent.get(KEY, 7, 100.1) is None
    recent.hold(KEY)
    assert recent.get(KEY, 7, 100.1) is SAID
    assert recent.get(("shop", "other"), 7, 100.1) is None
    recent.forget(KEY)
    recent.hold(KEY)
    assert recent.get(KEY, 7, 100.1) is None


def test_it_holds_for_some_seconds_and_for_one_spec() -> None:
    recent = noted()
    recent.hold(KEY)
    assert recent.get(KEY, 8, 100.1) is None
    assert recent.get(KEY, 7, 100 + HELD_SECONDS) is SAID
    assert recent.get(KEY, 7, 100.1 + HELD_SECONDS) is None


def test_a_problem_is_never_held() -> None:
    recent = noted()
    recent.hold(KEY)
    trouble = MilvusView(problem=Problem("Unreachable", "away", needs_a_person=False))
    recent.note(KEY, Stores(101.0, 7, trouble, CatalogueView()))
    assert recent.get(KEY, 7, 101.1) is None
