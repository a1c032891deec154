"""What the answers to sample queries tell, and which queries are asked."""

import numpy as np
import pytest
from search_plane.jobs.scan import Document
from search_plane.jobs.verify_collection import Hits
from search_plane.jobs.verify_queries import Answer, mean_overlap, p95_ms, share_without_hits
from search_plane.jobs.verify_sample import sample_queries


def answer(*ids: str) -> Answer:
    return Answer(np.ones(2, dtype=np.float32), Hits(ids, np.zeros(len(ids))))


def test_queries_are_the_beginnings_of_titles_without_repeats() -> None:
    documents = [
        Document("1", {"title": "小米 Redmi Buds 4 青春版 真无线蓝牙耳机"}),
        Document("2", {"title": "小米 Redmi Buds 4 活力版"}),
        Document("3", {"title": "  五常大米  "}),
        Document("4", {"title": ["五常", "大米"]}),
        Document("5", {}),
        Document("6", {"title": ""}),
    ]
    queries = sample_queries(documents, "title", ["五常大米", "便宜的蓝牙耳机"])
    assert queries == ["小米 Redmi Bud", "五常大米", "便宜的蓝牙耳机"]


def test_a_title_may_lie_deeper() -> None:
    assert sample_queries([Document("1", {"names": {"zh": "耳机"}})], "names.zh") == ["耳机"]


def test_queries_without_hits_are_counted() -> None:
    answers = {"a": answer("1"), "b": answer(), "c": Answer(None, Hits((), np.empty(0))), "d": answer("2")}
    assert share_without_hits(answers) == 0.5


def test_overlap_is_the_mean_share_of_common_hits() -> None:
    ten = [str(number) for number in range(10)]
    here = {"a": answer(*ten, "x"), "b": answer("1", "2")}
    assert mean_overlap(here, here) == 1.0
    assert mean_overlap(here, {"a": answer(*ten[:5], *"vwxyz"), "b": answer("1", "9")}) == 0.5
    assert mean_overlap(here, {"a": answer(), "b": answer("1", "2")}) == 0.5


def test_overlap_of_nothing_is_not_known() -> None:
    assert mean_overlap({"a": answer()}, {"a": answer()}) is None


@pytest.mark.parametrize(
    ("seconds", "expected"), [([0.01], 10.0), ([0.01] * 19 + [1.0], 10.0), ([0.01] * 18 + [1.0, 1.0], 1000.0)]
)
def test_p95_is_a_time_that_was_seen(seconds: list[float], expected: float) -> None:
    assert p95_ms(seconds) == pytest.approx(expected)
