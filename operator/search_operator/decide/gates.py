"""Gates: one named check each, pure, with value and threshold. What can't be evaluated is not passed.

A candidate takes over only when every gate has passed. Most judge what the verify job measured; a few also look at
Milvus as it is now.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from search_plane.release.report import JobReport, Verification

from search_operator.api.rollout import JudgedQueries
from search_operator.api.spec import Spec
from search_operator.api.values import decimal_of, duration_of
from search_operator.observe.observation import CollectionView, JobView

Result = Literal["Passed", "Failed", "Pending"]

# The encoder's own probes demand as much (search_plane.encoder.probes.MIN_COSINE).
MIN_COSINE_EXACT = 0.999
# An int8 model scales its activations by the whole batch, so a vector depends on its batch-mates: cosines down to .9906
# between batches were measured with bge-small-zh-v1.5. fp16 kernels differ by batch shape too, though less.
MIN_COSINE_ROUNDED = 0.99

# The catalogue changes between catch-up and verification; the releases' refreshes bring that in.
MIN_TOLERATED_ROWS = 20
TOLERATED_SHARE = 0.001


@dataclass(frozen=True)
class Gate:
    """The outcome of one check of a candidate release."""

    name: str
    result: Result
    value: str
    threshold: str
    message: str


def evaluate(
    collection: CollectionView | None,
    build: JobView | None,
    verify: JobView | None,
    has_active: bool,
    same_fingerprint: bool,
    spec: Spec,
) -> tuple[Gate, ...]:
    """All gates of a candidate, in the order in which a person would ask.

    `build` is the newest catch-up that succeeded, `verify` the newest verify job that ended, `same_fingerprint` whether
    the active release has the candidate's encoder. A gate that the spec or the situation does not ask for is left out.
    """
    asked = spec.rollout.gates
    precision = collection.record.encoder.precision if collection else spec.encoder.precision
    gates = [
        id_sets_equal(build, verify),
        rows_loaded(collection, build, verify),
        index_finished(collection),
        replicas_loaded(collection, spec.vector_store.milvus.replicas),
        encoder_sound(verify),
        vectors_match(verify, precision),
        recall_at_k(verify, asked.min_recall_at_k),
    ]
    if has_active and same_fingerprint:
        gates.append(overlap_at_10(verify, asked.min_overlap_at10))
    if asked.judged_queries is not None:
        gates.append(judged_queries(verify, asked.judged_queries, has_active))
    gates.append(zero_result_rate(verify, asked.max_zero_result_rate))
    gates.append(latency_p95(verify, asked.max_p95))
    return tuple(gates)


def passed(gates: Sequence[Gate]) -> bool:
    """Whether a candidate may become active; no gates prove nothing."""
    return bool(gates) and all(gate.result == "Passed" for gate in gates)


def tolerated_rows(rows: int) -> int:
    """How many rows of `rows` may differ from the catalogue for what has changed since the catch-up."""
    return max(MIN_TOLERATED_ROWS, int(rows * TOLERATED_SHARE))


def id_sets_equal(build: JobView | None, verify: JobView | None) -> Gate:
    """Catalogue and collection hold the same ids with the same text.

    The catch-up found them equal, and the verification, later and by its own readings, found no more differences than
    the catalogue's changes since then explain.
    """
    name = "IdSetsEqual"
    report = _report_of_catchup(build)
    if report is None:
        return Gate(name, "Pending", "", "equal", "the catch-up has not reported yet")
    if not report.id_sets_equal:
        message = "the catch-up ended with different ID sets; look at its log"
        return Gate(name, "Failed", "different", "equal", message)
    allowed = tolerated_rows(report.rows)

    def judge(found: Verification) -> tuple[str, str]:
        missing, extra, stale = found.missing or 0, found.extra or 0, found.stale or 0
        differing = missing + extra + stale
        if differing <= allowed:
            return str(differing), ""
        return str(differing), (
            f"{missing:,} documents are missing, {extra:,} rows have no document, {stale:,} rows have another "
            f"text; at most {allowed:,} in all may differ; the next catch-up repairs it"
        )

    return _judged(name, f"<= {allowed}", verify, ("missing", "extra", "stale"), judge)


def rows_loaded(collection: CollectionView | None, build: JobView | None, verify: JobView | None) -> Gate:
    """Strong counts, now and during the verification, see the rows that the catch-up left.

    A refresh may run meanwhile and the catalogue shrink, so that a count may be below the catch-up's by the tolerance
    of `tolerated_rows`. Rows too many are not this gate's matter: IdSetsEqual knows which of them have no document.
    """
    name = "RowsLoaded"
    report = _report_of_catchup(build)
    if report is None or collection is None or collection.rows is None:
        return Gate(name, "Pending", "", "", "the rows can't be counted yet")
    now, least = collection.rows, report.rows - tolerated_rows(report.rows)
    threshold = f">= {least}"
    if now < least:
        message = (
            f"Milvus counts {now:,} rows, the catch-up left {report.rows:,}; "
            "a segment is not loaded or rows were deleted: look at Milvus' query nodes"
        )
        return Gate(name, "Failed", str(now), threshold, message)

    def judge(found: Verification) -> tuple[str, str]:
        seen = min(now, found.rows or 0)
        if seen >= least:
            return str(seen), ""
        return str(seen), (
            f"the verification counted as few as {seen:,} rows, the catch-up left {report.rows:,}; "
            "a replica does not hold all: look at Milvus' query nodes"
        )

    return _judged(name, threshold, verify, ("rows",), judge)


def index_finished(collection: CollectionView | None) -> Gate:
    """The HNSW index is built and no sealed row waits for it, so that searches are not brute force."""
    if collection is None:
        return Gate("IndexFinished", "Pending", "", "0", "the collection is not there yet")
    if not collection.index_finished:
        message = f"{collection.pending_rows:,} rows wait for the index"
        return Gate("IndexFinished", "Pending", str(collection.pending_rows), "0", message)
    return Gate("IndexFinished", "Passed", "0", "0", "")


def replicas_loaded(collection: CollectionView | None, replicas: int) -> Gate:
    """The collection is in memory as many times as asked for."""
    seen = collection.replicas if collection and collection.loaded else 0
    if seen != replicas:
        return Gate(
            "ReplicasLoaded", "Pending", str(seen), str(replicas), f"{seen} of {replicas} replicas are loaded"
        )
    return Gate("ReplicasLoaded", "Passed", str(seen), str(replicas), "")


def encoder_sound(verify: JobView | None) -> Gate:
    """Every vector that the encoder gave was finite, of its dimension and of unit length."""

    def judge(found: Verification) -> tuple[str, str]:
        if found.encoder_sound:
            return "sound", ""
        what = found.why.get("encoder_sound", "it gave vectors that are none")
        return "unsound", f"the encoder is broken: {what}; check its weights and precision"

    return _judged("EncoderSound", "sound", verify, ("encoder_sound",), judge)


def vectors_match(verify: JobView | None, precision: Literal["fp32", "fp16", "int8"]) -> Gate:
    """What the collection holds is what the release's encoder makes of the same texts."""
    least = MIN_COSINE_EXACT if precision == "fp32" else MIN_COSINE_ROUNDED

    def judge(found: Verification) -> tuple[str, str]:
        cosine = found.vectors_match or 0.0
        if cosine >= least:
            return f"{cosine:.4f}", ""
        return f"{cosine:.4f}", (
            f"a stored vector has cosine {cosine:.4f} to the encoder's, below {least}: the rows were made by another "
            "model, pooling or prefix; ask for a full rebuild"
        )

    return _judged("VectorsMatch", f">= {least}", verify, ("vectors_match",), judge)


def recall_at_k(verify: JobView | None, least: str) -> Gate:
    """HNSW finds nearly what brute force finds. `least` is gates.minRecallAtK."""

    return _at_least(
        "RecallAtK",
        "recall",
        verify,
        least,
        lambda found, recall: (
            f"recall of the first {found.recall_k} hits is {recall:.4f}, below gates.minRecallAtK {least}; "
            "raise index.m, index.efConstruction or search.ef"
        ),
    )


def overlap_at_10(verify: JobView | None, least: str) -> Gate:
    """With the same encoder, the first ten hits are nearly the active release's. `least` is gates.minOverlapAt10."""

    return _at_least(
        "OverlapAt10",
        "overlap",
        verify,
        least,
        lambda _, overlap: (
            f"only {overlap:.1%} of the first ten hits are the active release's, below gates.minOverlapAt10 {least}; "
            "compare the two collections"
        ),
    )


def _at_least(
    name: str,
    field: Literal["recall", "overlap"],
    verify: JobView | None,
    least: str,
    why: Callable[[Verification, float], str],
) -> Gate:
    """A measured share that must reach a threshold of the spec; `why` tells of one that does not."""

    def judge(found: Verification) -> tuple[str, str]:
        share = getattr(found, field) or 0.0
        return f"{share:.4f}", "" if share >= float(decimal_of(least)) else why(found, share)

    return _judged(name, f">= {least}", verify, (field,), judge)


def judged_queries(verify: JobView | None, asked: JudgedQueries, has_active: bool) -> Gate:
    """nDCG@10 over the judged queries is not worse than the active release's by more than gates.judgedQueries allows.

    Without an active release there is nothing to compare with; then they must only be evaluable.
    """
    name, most = "JudgedQueries", float(decimal_of(asked.max_ndcg_drop))
    if not has_active:
        return _judged(name, "evaluated", verify, ("ndcg",), lambda found: (f"{found.ndcg:.4f}", ""))
    before = verify.report.verification if verify and verify.report else None
    threshold = f"drop <= {asked.max_ndcg_drop}"
    if before is not None and before.active_ndcg is not None:
        threshold = f">= {before.active_ndcg - most:.4f}"

    def judge(found: Verification) -> tuple[str, str]:
        here, there = found.ndcg or 0.0, found.active_ndcg or 0.0
        # Half of the last digit shown, so that rounding alone never fails.
        if there - here <= most + 5e-7:
            return f"{here:.4f}", ""
        return f"{here:.4f}", (
            f"nDCG@10 over {found.judged} judged queries is {here:.4f}, the active release's {there:.4f}: it drops by "
            f"more than {asked.max_ndcg_drop}; keep the active model, or judge again"
        )

    return _judged(name, threshold, verify, ("ndcg", "active_ndcg"), judge)


def zero_result_rate(verify: JobView | None, most: str) -> Gate:
    """Nearly every sample query has a hit. `most` is gates.maxZeroResultRate."""

    def judge(found: Verification) -> tuple[str, str]:
        share = 1.0 if found.zero_results is None else found.zero_results
        if share <= float(decimal_of(most)):
            return f"{share:.4f}", ""
        active = found.active_zero_results
        compared = "" if active is None else f" (active release: {active:.1%})"
        return f"{share:.4f}", (
            f"{share:.1%} of sample queries have no hit{compared}, above gates.maxZeroResultRate {most}; "
            "look at the encoder and the collection"
        )

    return _judged("ZeroResultRate", f"<= {most}", verify, ("zero_results",), judge)


def latency_p95(verify: JobView | None, most: str) -> Gate:
    """Embedding and searching one query is quick enough. `most` is gates.maxP95, a duration."""
    limit = duration_of(most).total_seconds() * 1000

    def judge(found: Verification) -> tuple[str, str]:
        p95 = float("inf") if found.p95_ms is None else found.p95_ms
        if p95 <= limit:
            return f"{p95:.1f}ms", ""
        return f"{p95:.1f}ms", (
            f"95 % of {found.timed_queries} queries took up to {p95:.1f} ms to embed and search, above gates.maxP95 "
            f"{most}; give the encoders more, or lower search.ef"
        )

    return _judged("LatencyP95", f"<= {most}", verify, ("p95_ms",), judge)


def _report_of_catchup(build: JobView | None) -> JobReport | None:
    return build.report if build and build.succeeded else None


def _judged(
    name: str,
    threshold: str,
    verify: JobView | None,
    needed: tuple[str, ...],
    judge: Callable[[Verification], tuple[str, str]],
) -> Gate:
    """`judge` gives (value, what is wrong) once every field of `needed` was measured."""
    if verify is None or not (verify.succeeded or verify.failed):
        return Gate(name, "Pending", "", threshold, "the verification has not reported yet")
    found = verify.report.verification if verify.report else None
    if found is None:
        why = (
            verify.report.message
            if verify.report and verify.report.message
            else "the verify job left no report"
        )
        return Gate(name, "Failed", "", threshold, f"can't be evaluated: {why}")
    for field in needed:
        if getattr(found, field) is None:
            why = found.why.get(field, f"{field} was not measured")
            return Gate(name, "Failed", "", threshold, f"can't be evaluated: {why}")
    value, problem = judge(found)
    return Gate(name, "Failed" if problem else "Passed", value, threshold, problem)
