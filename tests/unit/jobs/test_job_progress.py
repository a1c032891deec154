"""The figures that a person watches: rows per second, and when it will be done."""

from search_plane.jobs.progress import WINDOW_SECONDS, Meter, ProgressBoard


class FakeClock:
    """A clock that stands until told; for time cannot be had otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_that_of_the_window_not_of_the_whole_run() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    count = 0
    for second in range(200):
        clock.now += 1
        count += 10 if second < 100 else 100
        meter.update(count)
    assert meter.rate() == 100


def test_the_rate_falls_while_nothing_happens() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    clock.now += 1
    meter.update(100)
    assert meter.rate() == 100
    clock.now += 9
    assert meter.rate() == 10


def test_the_window_keeps_few_samples() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    for count in range(100_000):
        clock.now += 0.01
        meter.update(count)
    assert abs(meter.rate() - 100) < 1
    assert len(meter._samples) <= WINDOW_SECONDS * 2 + 3


def test_the_remaining_time_follows_from_the_rate() -> None:
    clock = FakeClock()
    board = ProgressBoard(clock)
    assert board.snapshot().eta_seconds is None
    board.begin_pass("Scanning", 1000)
    assert board.snapshot().eta_seconds is None
    clock.now += 10
    board.settled(250)
    progress = board.snapshot()
    assert (progress.done, progress.total, progress.rows_per_second) == (250, 1000, 25.0)
    assert progress.eta_seconds == 30.0
    assert board.scan_rate() == 25.0


def test_a_new_pass_counts_again_but_keeps_what_the_job_did() -> None:
    clock = FakeClock()
    board = ProgressBoard(clock)
    board.begin_pass("Scanning", 10)
    clock.now += 1
    board.embedded += 10
    board.settled(10)
    board.begin_pass("Reconciling", 12)
    clock.now += 1
    board.settled(3)
    progress = board.snapshot()
    assert (progress.phase, progress.done, progress.total, progress.embedded) == ("Reconciling", 3, 12, 10)
    assert board.scan_rate() == 10.0


def test_more_documents_than_counted_are_no_negative_rest() -> None:
    clock = FakeClock()
    board = ProgressBoard(clock)
    board.begin_pass("Scanning", 5)
    clock.now += 1
    board.settled(7)
    progress = board.snapshot()
    assert (progress.done, progress.total, progress.eta_seconds) == (7, 7, 0.0)
