"""The benchmark's checker sees each lie that it is there to see."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.switch_check import Checker, Vectors, Verdict
from benchmarks.switch_log import ANSWER, BY_WORDS, Answers, K
from benchmarks.switch_writes import Deletion, History, Version

QUERIES, PRODUCTS, DIMENSION = 4, 40, 16
BLUE, GREEN = "r-b1b1b1b1", "r-9e9e9e9e"
ENCODERS = {BLUE: "one", GREEN: "other"}
# Product 7 has a second text from second 50 on; product 9 is deleted at second 60.
HISTORY = History(
    [
        *(Version(number, f"text {number}", float("-inf")) for number in range(PRODUCTS)),
        Version(7, "new", 50.0),
    ],
    [Deletion(9, 59.9, 60.0)],
)


def unit(random: np.random.Generator, rows: int) -> Vectors:
    vectors = random.normal(size=(rows, DIMENSION)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def tables() -> dict[str, Vectors]:
    """Cosines of two encoders that have nothing to do with each other."""
    random = np.random.default_rng(5)
    return {name: unit(random, QUERIES) @ unit(random, len(HISTORY.versions)).T for name in ("one", "other")}


def honest(tables: dict[str, Vectors], release: str = BLUE, *, at: float = 10.0, query: int = 1) -> Answers:
    """One answer as brute force gives it at that second."""
    scores = tables[ENCODERS[release]][query].copy()
    current = PRODUCTS if at >= 50 else 7
    by_product = {number: float(scores[number]) for number in range(PRODUCTS)}
    by_product[7] = float(scores[current])
    if at >= 60:
        del by_product[9]
    best = sorted(by_product, key=lambda number: -by_product[number])[:K]
    answer = np.zeros(1, ANSWER)
    answer["started"], answer["seconds"], answer["query"], answer["status"] = at, 0.01, query, 200
    answer["release"], answer["hits"] = release.encode(), K
    answer["ids"], answer["scores"] = best, [by_product[number] for number in best]
    return answer


def judged(tables: dict[str, Vectors], *answers: Answers) -> Verdict:
    return Checker(HISTORY, tables, ENCODERS).check(np.concatenate(answers))


def test_honest_answers_of_both_releases_pass(tables: dict[str, Vectors]) -> None:
    answers = [
        honest(tables, release, at=at, query=query)
        for release in ENCODERS
        for at in (10.0, 55.0, 70.0)
        for query in range(QUERIES)
        for _ in range(5)
    ]
    verdict = judged(tables, *answers)
    assert (verdict.queries, verdict.failed, verdict.mismatched, verdict.resurrected) == (
        len(answers),
        0,
        0,
        0,
    )
    assert (verdict.sampled, verdict.recall, verdict.short) == (len(answers) // 10, 1.0, 0)


def another_release(answer: Answers) -> None:
    answer["release"] = GREEN.encode()


def unknown_release(answer: Answers) -> None:
    answer["release"] = b"r-00000000"


def one_score(answer: Answers) -> None:
    answer["scores"][0, 3] += 0.001


def unknown_product(answer: Answers) -> None:
    answer["ids"][0, 2] = PRODUCTS + 5


def other_query(answer: Answers) -> None:
    answer["query"] = 2


@pytest.mark.parametrize("lie", [another_release, unknown_release, one_score, unknown_product, other_query])
def test_a_lie_is_a_mismatch(tables: dict[str, Vectors], lie: Callable[[Answers], None]) -> None:
    answer = honest(tables)
    lie(answer)
    verdict = judged(tables, honest(tables), answer)
    assert verdict.mismatched == 1
    assert verdict.examples


def test_a_text_explains_no_score_before_it_was_written(tables: dict[str, Vectors]) -> None:
    answer = honest(tables, at=55.0)
    answer["ids"][0, 0], answer["scores"][0, 0] = 7, tables["one"][1, PRODUCTS]
    assert judged(tables, answer).mismatched == 0
    answer["started"] = 45.0
    assert judged(tables, answer).mismatched == 1


@pytest.mark.parametrize(("lie", "mismatched"), [(one_score, 0), (unknown_release, 1), (unknown_product, 1)])
def test_the_score_of_a_hit_by_words_says_nothing(
    tables: dict[str, Vectors], lie: Callable[[Answers], None], mismatched: int
) -> None:
    answer = honest(tables)
    answer["degraded"] = BY_WORDS
    lie(answer)
    verdict = judged(tables, honest(tables), answer)
    assert (verdict.by_words, verdict.mismatched) == (1, mismatched)


@pytest.mark.parametrize(
    ("at", "degraded", "expected"),
    [(60.5, 0, (0, 0)), (61.5, 0, (1, 0)), (61.5, 1, (0, 1)), (61.5, 2, (1, 0))],
)
def test_a_deleted_product_may_stay_for_the_promised_second(
    tables: dict[str, Vectors], at: float, degraded: int, expected: tuple[int, int]
) -> None:
    answer = honest(tables, at=at)
    answer["ids"][0, 0], answer["scores"][0, 0] = 9, tables["one"][1, 9]
    answer["degraded"] = degraded
    verdict = judged(tables, answer)
    assert (verdict.resurrected, verdict.degraded_deleted) == expected
    assert verdict.mismatched == 0


def test_hits_that_are_not_the_nearest_cost_recall(tables: dict[str, Vectors]) -> None:
    answer = honest(tables)
    scores = tables["one"][1]
    far = np.argsort(scores[:PRODUCTS])[:K][::-1]
    answer["ids"], answer["scores"] = far, scores[far]
    verdict = judged(tables, answer)
    assert (verdict.mismatched, verdict.sampled) == (0, 1)
    assert verdict.recall < 0.4


def test_too_few_hits_are_told_unless_something_was_dropped(tables: dict[str, Vectors]) -> None:
    answer, explained = honest(tables), honest(tables)
    answer["hits"] = explained["hits"] = K - 1
    explained["dropped"] = 1
    assert judged(tables, answer, explained).short == 1


def test_no_answer_and_a_503_have_failed(tables: dict[str, Vectors]) -> None:
    none, refused = honest(tables), honest(tables)
    none["status"], refused["status"] = 0, 503
    verdict = judged(tables, none, refused, honest(tables))
    assert (verdict.queries, verdict.failed, verdict.mismatched) == (3, 2, 0)
