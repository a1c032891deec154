"""Joining neighbours with the catalogue's answers."""

from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.catalogue_answers import Document, judged
from search_plane.gateway.filters import Filters, field_value
from search_plane.gateway.join import Candidate, merge
from search_plane.gateway.within import Within
from search_plane.release.record import CatalogueFields

FIELDS = CatalogueFields()
IDS = st.text(min_size=1, max_size=8)
SOURCES = st.dictionaries(
    st.sampled_from(["title", "brand", "price", "stock", "other"]), st.integers() | st.text()
)
ANSWERS = st.dictionaries(IDS, st.none() | SOURCES, max_size=30)
FOUND = st.builds(lambda one, score: Candidate(one, score), IDS, st.floats(-1, 1))
NEIGHBOURS = st.lists(FOUND, max_size=30, unique_by=lambda found: found.id)


def test_fields_are_the_catalogues_and_the_order_is_the_nearness() -> None:
    near = [Candidate("a", 0.9), Candidate("b", 0.8), Candidate("c", 0.7)]
    fields = CatalogueFields(title="name", price="offer.price")
    joined = merge(
        near,
        {"c": {"name": "丙"}, "a": {"name": "甲", "offer": {"price": 9.5}, "stock": 3}, "b": None},
        fields,
        3,
    )
    assert [(hit.id, hit.rank, hit.title, hit.price, hit.stock) for hit in joined.hits] == [
        ("a", 1, "甲", 9.5, 3),
        ("c", 2, "丙", None, None),
    ]
    assert (joined.dropped, joined.unknown) == (1, 0)


def test_what_the_catalogue_did_not_judge_is_told_as_it_was_stored() -> None:
    stored: Document = {"title": "旧", "brand": "小米", "category": "手机", "price": 10.0}
    candidates = [Candidate("a", 0.9, stored=stored), Candidate("b", 0.8), Candidate("c", 0.7)]
    fields = CatalogueFields(title="name")
    joined = merge(candidates, {"c": {"name": "丙", "stock": 2}}, fields, 3)
    assert [(hit.id, hit.stored, hit.title, hit.price, hit.stock) for hit in joined.hits] == [
        ("a", True, "旧", 10.0, None),
        ("b", False, None, None, None),
        ("c", False, "丙", None, 2),
    ]
    assert joined.unknown == 2


def test_the_live_document_decides_what_is_within_the_filters() -> None:
    within = Within(Filters(brands=("小米",), in_stock=True), excluded=("二手",))
    stored: Document = {"title": "旧", "brand": "小米"}
    candidates = [Candidate(one, 1.0) for one in "abcd"] + [
        Candidate("e", 1.0, stored=stored),
        Candidate("f", 1.0, stored={"brand": "大米"}),
        Candidate("g", 1.0, keyword=3.0),
        Candidate("h", 1.0),
    ]
    answers: dict[str, Document | None] = {
        "a": {"brand": "小米", "stock": 1, "title": "新"},
        "b": {"brand": "小米", "stock": 0},
        "c": {"brand": "小米", "stock": 1, "title": "二手 手机"},
        "d": {"brand": "大米", "stock": 5},
    }
    joined = merge(candidates, answers, FIELDS, 10, within)
    # What is unknown stays where it was stored so, or was found within the filters by words.
    assert [hit.id for hit in joined.hits] == ["a", "e", "g"]
    assert (joined.filtered, joined.unknown, joined.dropped) == (5, 2, 0)


@given(NEIGHBOURS, ANSWERS)
def test_every_neighbour_is_a_hit_or_dropped(
    neighbours: list[Candidate], answers: dict[str, Document | None]
) -> None:
    joined = merge(neighbours, answers, FIELDS, len(neighbours))
    gone = [n.id for n in neighbours if n.id in answers and answers[n.id] is None]
    assert joined.dropped == len(gone)
    assert joined.unknown == sum(n.id not in answers for n in neighbours)
    assert [(hit.id, hit.score) for hit in joined.hits] == [
        (n.id, n.score) for n in neighbours if n.id not in gone
    ]
    assert [hit.rank for hit in joined.hits] == list(range(1, len(joined.hits) + 1))
    for hit in joined.hits:
        source = answers.get(hit.id) or {}
        assert (hit.title, hit.price, hit.stock) == (
            source.get("title"),
            source.get("price"),
            source.get("stock"),
        )


@given(NEIGHBOURS, ANSWERS, st.integers(1, 10))
def test_hits_end_at_k_and_nothing_behind_them_is_counted(
    neighbours: list[Candidate], answers: dict[str, Document | None], k: int
) -> None:
    whole, cut = (merge(neighbours, answers, FIELDS, limit) for limit in (len(neighbours) + 1, k))
    assert cut.hits == whole.hits[:k]
    last = next((i for i, n in enumerate(neighbours) if len(cut.hits) == k and n.id == cut.hits[-1].id), None)
    seen = neighbours if last is None else neighbours[: last + 1]
    assert cut.dropped == sum(n.id in answers and answers[n.id] is None for n in seen)
    assert cut.unknown == sum(n.id not in answers for n in seen)


def test_a_literal_dotted_key_wins_over_a_path() -> None:
    assert field_value({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert field_value({"a": {"b": {"c": 2}}}, "a.b.c") == 2
    assert field_value({"a": 1}, "a.b") is None
    assert field_value({"a": {}}, "a.b") is None


def test_only_found_and_gone_documents_are_judged() -> None:
    docs: list[Document] = [
        {"_id": "1", "found": True, "_source": {"title": "x"}},
        {"_id": "2", "found": False},
        {"_id": "3", "error": {"type": "no_shard_available_action_exception"}},
        {"_id": "4", "found": True},
    ]
    assert judged(docs) == {"1": {"title": "x"}, "2": None, "4": {}}
