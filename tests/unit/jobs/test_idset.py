"""Equal digests mean equal sets; different ones say in which buckets to look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.jobs.idset import IdSetDigest, bucket_of

ROWS = st.dictionaries(st.text("ab货", max_size=3), st.sampled_from(["h1", "h2", "1", ""]), max_size=12)


def digest(rows: list[tuple[str, str]], buckets: int = 4) -> IdSetDigest:
    result = IdSetDigest(buckets)
    for row_id, content_hash in rows:
        result.add(row_id, content_hash)
    return result


@given(ROWS, ROWS)
def test_equal_sets_have_equal_digests_and_only_they(left: dict[str, str], right: dict[str, str]) -> None:
    differing = digest(list(left.items())).differing(digest(list(right.items())))
    assert (not differing) == (left == right)
    changed = {row_id for row_id, _ in left.items() ^ right.items()}
    assert differing == {bucket_of(row_id, 4) for row_id in changed}


@given(ROWS.flatmap(lambda rows: st.tuples(st.just(list(rows.items())), st.permutations(list(rows.items())))))
def test_the_order_of_rows_does_not_matter(
    orders: tuple[list[tuple[str, str]], list[tuple[str, str]]],
) -> None:
    assert not digest(orders[0]).differing(digest(orders[1]))


@given(ROWS, st.text("ab", max_size=2), st.sampled_from(["h1", "h9"]))
def test_what_is_removed_leaves_no_trace(rows: dict[str, str], row_id: str, content_hash: str) -> None:
    there_and_gone = digest(list(rows.items()))
    there_and_gone.add(row_id, content_hash)
    there_and_gone.remove(row_id, content_hash)
    assert not there_and_gone.differing(digest(list(rows.items())))


@pytest.mark.parametrize("times", [2, 3])
def test_a_row_read_twice_is_seen(times: int) -> None:
    assert digest([("a", "h")] * times).differing(digest([("a", "h")])) == {bucket_of("a", 4)}
    assert digest([("a", "h")] * times).rows == times


def test_id_and_hash_are_kept_apart() -> None:
    assert digest([("ab", "c")], 1).differing(digest([("a", "bc")], 1))


def test_another_bucketing_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        digest([], 4).differing(digest([], 8))
