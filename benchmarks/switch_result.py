"""From a run's log and course to rows, notes and a plot. Pure but for the files that are written."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.report import Row
from benchmarks.switch_check import Verdict
from benchmarks.switch_log import BY_WORDS, Answers
from benchmarks.switch_run import Course, Move

QUERIES, SWITCHES, ROLLBACKS = 100_000, 20, 5
MOST_SECONDS = 5.0
MOST_P99_RATIO = 1.2
# A switch's window lasts until this long after the last gateway moved.
AFTER_SECONDS = 2.0

_BUCKET = 5.0
_WIDTH, _HEIGHT, _LEFT, _TOP = 1100, 260, 60, 40

Span = tuple[float, float]
Mask = NDArray[np.bool_]


def within(answers: Answers, spans: Sequence[Span]) -> Mask:
    """bool [answers]: whether the query was under way at some moment of a span."""
    started = answers["started"]
    ended = started + answers["seconds"]
    mask = np.zeros(len(answers), bool)
    for begin, end in spans:
        mask |= (ended >= begin) & (started <= end)
    return mask


def busy_spans(busy: Sequence[tuple[float, int]], until: float) -> list[Span]:
    """When at least one job ran, from (when, how many run from then on)."""
    spans: list[Span] = []
    since: float | None = None
    for at, running in busy:
        if running and since is None:
            since = at
        elif not running and since is not None:
            spans.append((since, at))
            since = None
    return [*spans, (since, until)] if since is not None else spans


def p99_ms(answers: Answers) -> float:
    """99th percentile in milliseconds; NaN without an answer."""
    return float(np.percentile(answers["seconds"], 99) * 1000) if len(answers) else float("nan")


def last_moved(answers: Answers, move: Move, until: float) -> float:
    """When the move was over: the last gateway's word, or the last query that began later and got the old release."""
    after = (
        (answers["started"] >= move.committed) & (answers["started"] <= until) & (answers["status"] == 200)
    )
    old = answers[after & (answers["release"] != move.release.encode())]
    return max(move.moved, float(old["started"].max()) if len(old) else 0.0)


def seconds_of(answers: Answers, course: Course, kind: str) -> list[float]:
    """Seconds from decision to the last gateway moved, of each move of that kind."""
    found = []
    for number, move in enumerate(course.moves):
        following = course.moves[number + 1].asked if number + 1 < len(course.moves) else course.ended
        if move.kind == kind:
            found.append(last_moved(answers, move, following) - move.decided)
    return found


def rows_of(
    answers: Answers,
    course: Course,
    busy: Sequence[Span],
    verdict: Verdict,
    outages: Sequence[Span] | None = None,
) -> tuple[list[Row], dict[str, JsonValue]]:
    """The benchmark's rows, and notes that explain them.

    With `outages`, when parts that queries need were gone: `failed` and `by_words` count queries outside of them, and
    times are only told, for a move may have waited for a part.
    """
    switching = within(answers, [(move.decided, move.moved + AFTER_SECONDS) for move in course.moves])
    working = within(answers, busy)
    resting = within(answers, course.rests) & ~working & ~switching
    rest, during = p99_ms(answers[resting]), p99_ms(answers[switching])
    times = {kind: seconds_of(answers, course, kind) for kind in ("switch", "rollback")}
    unanswered = answers[answers["status"] != 200]
    excused = int(within(unanswered, outages or ()).sum())
    by_words = answers[(answers["degraded"] & BY_WORDS) > 0]
    by_words_excused = int(within(by_words, outages or ()).sum())
    rows = [
        Row.at_least("queries", len(answers), QUERIES),
        Row.at_most("failed", verdict.failed - excused, 0),
        Row.at_most("by_words", len(by_words) - by_words_excused, 0),
        Row.at_most("mismatched", verdict.mismatched, 0),
        Row.at_most("resurrected", verdict.resurrected, 0),
        Row.at_least("switches", len(times["switch"]), SWITCHES),
        Row.at_least("rollbacks", len(times["rollback"]), ROLLBACKS),
    ]
    if outages is None:
        rows.append(
            Row.compare(
                "p99_ratio", during, "p99 at rest", rest, unit="ms", goal=MOST_P99_RATIO, better="lower"
            )
        )
        rows += [
            Row.at_most(f"{kind}_seconds", max(found), MOST_SECONDS, unit="s")
            for kind, found in times.items()
            if found
        ]
    seconds = float(answers["started"][-1] - answers["started"][0]) if len(answers) else 0.0
    notes: dict[str, JsonValue] = {
        "queries_per_second": round(len(answers) / seconds, 1) if seconds else 0.0,
        "p50_ms_at_rest": _rounded(float(np.median(answers[resting]["seconds"]) * 1000)),
        "p99_ms_while_jobs_run": _rounded(p99_ms(answers[working & ~switching])),
        "queries_at_rest": int(resting.sum()),
        "queries_in_switches": int(switching.sum()),
        "seconds_of_each": {kind: [round(value, 2) for value in found] for kind, found in times.items()},
        "median_seconds": {kind: round(median(found), 2) for kind, found in times.items() if found},
        "from_patch_to_moved": [round(move.moved - move.asked, 1) for move in course.moves],
        "failed_in_outages": excused,
        "by_words_in_outages": by_words_excused,
        "outage_seconds": round(sum(end - begin for begin, end in outages or ()), 1),
        "degraded": verdict.degraded,
        "degraded_but_for_the_catalogue": verdict.doubted,
        "degraded_with_a_deleted_product": verdict.degraded_deleted,
        "short": verdict.short,
        "refreshes": len(course.refreshes),
        "brute_force": {
            "answers": verdict.sampled,
            "recall": round(verdict.recall, 5),
            "worst": round(verdict.worst_recall, 3),
        },
        "examples": list(verdict.examples),
        "what": "switch_seconds and rollback_seconds are the slowest; from the pointer's first word of the release "
        "(a rollback: from the patch) to the last gateway's, or to the last query answered from the old one; "
        "p99_ratio: queries from the decision until 2 s after the move, against those with no job and no move",
    }
    return rows, notes


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 2)


def plot(path: Path, answers: Answers, course: Course, busy: Sequence[Span]) -> None:
    """An SVG of p50 and p99 over time (log scale), with jobs shaded and each switch and rollback marked."""
    begin = float(answers["started"][0])
    seconds = answers["started"] - begin
    buckets = (seconds // _BUCKET).astype(int)
    length = max(float(seconds[-1]), 1.0)
    most = max(float(answers["seconds"].max()) * 1000, 100.0)

    def x(at: float) -> float:
        return _LEFT + _WIDTH * (at / length)

    def y(milliseconds: float) -> float:
        return _TOP + _HEIGHT * (1 - math.log10(max(milliseconds, 1.0)) / math.log10(most))

    parts = [
        f'<rect x="{x(start - begin):.1f}" y="{_TOP}" width="{max(0.5, x(end) - x(start)):.1f}" height="{_HEIGHT}" '
        'fill="#f1f3f6"/>'
        for start, end in busy
    ]
    for level in (1, 10, 100, 1000, 10_000):
        if level <= most:
            parts.append(
                f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="#ddd"/>'
                f'<text x="{_LEFT - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level} ms</text>'
            )
    for move in course.moves:
        colour = "#2f9e44" if move.kind == "switch" else "#e8590c"
        at = x(move.decided - begin)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_TOP + _HEIGHT}" stroke="{colour}">'
            f"<title>{escape(f'{move.kind} to {move.release}')}</title></line>"
        )
    for percentile, colour in ((50, "#b0b7c3"), (99, "#2f6fde")):
        line = " ".join(
            f"{x((bucket + 0.5) * _BUCKET):.1f},"
            f"{y(float(np.percentile(answers['seconds'][buckets == bucket], percentile)) * 1000):.1f}"
            for bucket in np.unique(buckets)
        )
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    text = (
        f"p99 (blue) and p50 (grey) of {_BUCKET:.0f} s each; switches green, rollbacks orange, jobs shaded; "
        f"{length / 60:.0f} minutes"
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{_TOP + _HEIGHT + 20}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{_LEFT}" y="22">{escape(text)}</text>\n' + "\n".join(parts) + "\n</svg>\n",
        encoding="utf-8",
    )
