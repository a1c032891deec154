"""The next batch, as a function of the waiting texts' lengths."""

from hypothesis import given
from hypothesis import strategies as st
from search_plane.encoder.planning import WINDOW_BATCHES, BatchLimits, plan_batch

LIMITS = st.builds(
    BatchLimits,
    max_tokens=st.integers(1, 2048),
    max_texts=st.integers(1, 40),
    call_tokens=st.integers(0, 512),
)
LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=200)


@given(LENGTHS, LIMITS)
def test_a_batch_is_within_its_limits(lengths: list[int], limits: BatchLimits) -> None:
    batch = plan_batch(lengths, limits)
    assert len(set(batch)) == len(batch) <= limits.max_texts
    longest = max(lengths[index] for index in batch)
    assert len(batch) == 1 or longest * len(batch) <= limits.max_tokens


@given(LENGTHS, LIMITS)
def test_the_oldest_is_always_taken_so_nobody_starves(lengths: list[int], limits: BatchLimits) -> None:
    assert 0 in plan_batch(lengths, limits)


@given(LENGTHS, LIMITS)
def test_everything_is_computed_once_in_the_end(lengths: list[int], limits: BatchLimits) -> None:
    waiting = list(range(len(lengths)))
    done: list[int] = []
    while waiting:
        batch = {waiting[index] for index in plan_batch([lengths[text] for text in waiting], limits)}
        assert batch
        done.extend(batch)
        waiting = [text for text in waiting if text not in batch]
    assert sorted(done) == list(range(len(lengths)))


@given(st.integers(1, 64), st.integers(1, 40), LIMITS)
def test_equal_lengths_fill_the_batch(length: int, count: int, limits: BatchLimits) -> None:
    room = max(1, min(limits.max_texts, limits.max_tokens // length))
    batch = plan_batch([length] * count, limits)
    # Without a cost of the call a batch of one is as good as any.
    assert len(batch) == min(count, room) or limits.call_tokens == 0


def test_nothing_waits() -> None:
    assert plan_batch([], BatchLimits()) == []


def test_a_text_over_the_budget_goes_alone() -> None:
    assert plan_batch([600, 8, 8], BatchLimits(max_tokens=512)) == [0]


def test_long_texts_are_kept_away_from_short_ones() -> None:
    lengths = [16, 500, 17, 480, 16, 18]
    assert sorted(plan_batch(lengths, BatchLimits(call_tokens=16))) == [0, 2, 4, 5]


def test_where_a_call_is_dear_padding_is_accepted() -> None:
    lengths = [16, 24, 32]
    assert sorted(plan_batch(lengths, BatchLimits(call_tokens=512))) == [0, 1, 2]
    assert sorted(plan_batch(lengths, BatchLimits(call_tokens=0))) == [0]


def test_what_came_long_after_is_not_looked_at() -> None:
    limits = BatchLimits(max_texts=2)
    window = WINDOW_BATCHES * limits.max_texts
    lengths = [16, *[64] * (window - 1), 16]
    assert plan_batch(lengths, limits) != [0, window]
