"""When an answer is whole: sentinels, counts, and how long doubt lasts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.wholeness import (
    PLACED_SECONDS,
    SETTLED_SECONDS,
    WHOLE_PROBES,
    Metric,
    Placement,
    Sentinel,
    Wholeness,
    is_the_graphs_habit,
    judge,
    search_depth,
    wanted_hits,
)

VECTORS = {name: np.eye(4, dtype=np.float32)[row] for row, name in enumerate("abcd")}
SENTINELS = tuple(Sentinel(name, vector) for name, vector in VECTORS.items())


def test_all_found_is_whole() -> None:
    judgement = judge(SENTINELS, ["abcd", "abcd"], {}, now=0)
    assert (judgement.sentinels, judgement.whole, judgement.dropped) == (SENTINELS, True, 0)


def test_a_row_that_one_of_two_searches_misses_is_lacking() -> None:
    judgement = judge(SENTINELS, ["abcd", "abc"], {}, now=0)
    assert not judgement.whole
    assert [one.id for one in judgement.sentinels if one.missing_since is not None] == ["d"]


def test_a_row_that_is_stored_and_not_found_is_lacking() -> None:
    assert not judge(SENTINELS, ["abc", "abc"], {"d": VECTORS["d"]}, now=0).whole


def test_a_changed_row_is_watched_on_with_its_new_vector() -> None:
    judgement = judge(SENTINELS, ["abc", "abc"], {"d": VECTORS["a"]}, now=0)
    assert judgement.whole
    assert judgement.sentinels[3].vector.tolist() == VECTORS["a"].tolist()


def test_one_deleted_row_is_no_doubt_and_replaced() -> None:
    judgement = judge(SENTINELS, ["abc", "abc"], {}, now=0)
    assert (judgement.sentinels, judgement.whole, judgement.dropped) == (SENTINELS[:3], True, 1)


def test_several_rows_gone_at_once_are_doubted_until_they_stay_gone() -> None:
    first = judge(SENTINELS, ["ab", "ab"], {}, now=100)
    assert (first.whole, len(first.sentinels)) == (False, 4)
    soon = judge(first.sentinels, ["ab", "ab"], {}, now=100 + SETTLED_SECONDS - 1)
    assert (soon.whole, len(soon.sentinels)) == (False, 4)
    late = judge(soon.sentinels, ["ab", "ab"], {}, now=100 + SETTLED_SECONDS)
    assert (late.whole, late.dropped, late.sentinels) == (True, 2, SENTINELS[:2])


def test_rows_that_come_back_are_whole_again() -> None:
    first = judge(SENTINELS, ["ab", "ab"], {}, now=100)
    judgement = judge(first.sentinels, ["abcd", "abcd"], {}, now=101)
    assert judgement.whole
    assert all(one.missing_since is None for one in judgement.sentinels)


def test_a_single_row_that_searches_never_reach_is_let_go_and_several_are_not() -> None:
    for stored, dropped in (("d", 1), ("cd", 0)):
        found = "abcd".translate(dict.fromkeys(map(ord, stored)))
        rows = {name: VECTORS[name] for name in stored}
        first = judge(SENTINELS, [found], rows, now=0)
        assert not first.whole
        late = judge(first.sentinels, [found], rows, now=SETTLED_SECONDS)
        assert (late.whole, late.dropped) == (dropped == 1, dropped)


def test_doubt_lasts_until_two_probes_in_a_row_were_whole() -> None:
    wholeness = Wholeness()
    assert not wholeness.doubtful
    wholeness.suspect()
    for whole in (*[True] * (WHOLE_PROBES - 1), False, *[True] * (WHOLE_PROBES - 1)):
        wholeness.probed(whole, now=0.0)
        assert wholeness.doubtful
    wholeness.probed(True, now=0.0)
    assert not wholeness.doubtful
    wholeness.probed(False, now=0.0)
    assert wholeness.doubtful


def placement(*nodes: int) -> Placement:
    return frozenset((replica, "v0", node, frozenset((node,))) for replica, node in enumerate(nodes))


def test_a_node_that_newly_answers_is_doubted_before_probes_can_end_it() -> None:
    wholeness = Wholeness()
    wholeness.placed(placement(1, 2), now=0.0)
    wholeness.placed(placement(1), now=1.0)
    assert not wholeness.doubtful, "what is left is what was whole"
    wholeness.placed(placement(1, 3), now=10.0)
    assert wholeness.doubtful
    for _ in range(WHOLE_PROBES):
        wholeness.probed(True, now=10.0 + PLACED_SECONDS - 0.1)
    assert wholeness.doubtful
    wholeness.placed(placement(1, 3), now=11.0)
    wholeness.probed(True, now=10.0 + PLACED_SECONDS)
    assert not wholeness.doubtful


@pytest.mark.parametrize(
    ("counts", "doubtful"),
    [
        ((3000, 3000, 3000, 3000), False),
        ((3000, 3002, 2999), False),
        ((3000, 1546), True),
        ((0, 3000), True),
        ((0, 0), False),
        # A mass deletion, long after the beginning.
        ((3000, 3000, 3000, 3000, 1000), False),
    ],
)
def test_first_counts_of_different_replicas_are_doubted(counts: tuple[int, ...], doubtful: bool) -> None:
    wholeness = Wholeness()
    for rows in counts:
        wholeness.counted(rows)
    assert wholeness.doubtful is doubtful


def test_a_partial_count_is_not_believed_and_a_lasting_one_is() -> None:
    wholeness = Wholeness()
    assert wholeness.rows == 0
    for rows, believed in ((20_000, 20_000), (5_000, 20_000), (0, 20_000), (0, 20_000), (20_500, 20_500)):
        wholeness.counted(rows)
        assert wholeness.rows == believed
    # Also while answers are doubted: else a small collection could never be believed again.
    wholeness.suspect()
    for _ in range(4):
        wholeness.counted(7)
    assert wholeness.rows == 7


@pytest.mark.parametrize(
    ("metric", "score", "found"),
    [
        ("COSINE", 0.9999, True),
        ("COSINE", 0.99, False),
        ("IP", 25.0, True),
        ("IP", 30.0, True),
        ("IP", 24.0, False),
        ("L2", 0.0, True),
        ("L2", 0.1, False),
    ],
)
def test_a_row_is_found_by_its_own_score(metric: Metric, score: float, found: bool) -> None:
    sentinel = Sentinel("a", np.array([3, 4], dtype=np.float32))
    assert sentinel.is_found(score, metric) is found


@given(st.integers(1, 100), st.integers(1, 512), st.integers(0, 1000))
def test_more_than_k_is_asked_for_and_no_more_than_there_is_is_expected(k: int, ef: int, rows: int) -> None:
    depth = search_depth(k, ef)
    assert k <= depth <= k + 20
    # The search is no deeper than without asking for more.
    assert max(ef, depth) == max(ef, k)
    assert wanted_hits(depth, rows) <= rows


@pytest.mark.parametrize(
    ("short", "deep", "habit"),
    [
        ("abcde", "abcdefgh", True),
        # Equal scores may change places.
        ("abced", "abcdefgh", True),
        # A row between them was missing.
        ("abcdf", "abcdefgh", False),
        ("vwxyz", "abcdefgh", False),
        # So few might be the nearest by chance.
        ("abcd", "abcdefgh", False),
        ("", "abcdefgh", False),
    ],
)
def test_only_the_very_nearest_are_what_a_graph_gives_up_after(short: str, deep: str, habit: bool) -> None:
    assert is_the_graphs_habit(short, deep) is habit


def test_what_the_catalogue_no_longer_has_is_not_missed() -> None:
    judgement = judge(SENTINELS, ["ab", "ab"], {}, now=100, departed="cd")
    assert judgement.whole
    assert judgement.dropped == 2
    assert [one.id for one in judgement.sentinels] == ["a", "b"]
    assert not judge(SENTINELS, ["a", "a"], {}, now=100, departed="c").whole, (
        "two others are gone unexplained"
    )
