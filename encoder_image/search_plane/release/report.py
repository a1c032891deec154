"""What a job tells others: progress while it runs, a report when it ends. Imported by the operator too."""

from datetime import datetime
from typing import Final, Literal

import orjson
from pydantic import Field, ValidationError

from search_plane.release.identity import Frozen

REPORT_KIND: Final = "semanticsearch.io/job-report.v1"

# The kubelet keeps at most 4096 bytes of a termination message; see "Determine the Reason for Pod Failure".
MAX_MESSAGE_BYTES = 4000

EXIT_SUCCESS = 0
EXIT_RETRYABLE = 1
EXIT_CONFIGURATION = 2
EXIT_EMPTY_CATALOGUE = 3
EXIT_TERMINATED = 143

Phase = Literal["Starting", "Scanning", "Reconciling", "Flushing", "Measuring", "Done", "Failed"]

# Machine-readable reasons of a report; a condition in the index's status carries the same word.
Reason = Literal[
    "Completed",
    "EmptyCatalogue",
    "FingerprintMismatch",
    "EncoderUnavailable",
    "EncoderRefused",
    "CatalogueUnavailable",
    "CatalogueRefused",
    "VectorStoreUnavailable",
    "VectorStoreRefused",
    "NeverEqual",
    "Terminated",
    "InvalidRelease",
    "InternalError",
]


class BadDocument(Frozen):
    """A document that cannot be indexed. `id` is cut to 128 characters; `reason` is one sentence."""

    id: str
    reason: str


class JobProgress(Frozen):
    """Where a running job stands. Counts are documents.

    `done` of `total` are settled, whatever happened to them. `rows_per_second` is over a
    recent window; `eta_seconds` is None while nothing can be said about it.
    """

    phase: Phase = "Starting"
    done: int = 0
    total: int = 0
    embedded: int = 0
    unchanged: int = 0
    reused: int = 0
    updated: int = 0
    deleted: int = 0
    failed: int = 0
    rows_per_second: float = 0.0
    eta_seconds: float | None = None
    started_at: datetime


class Verification(Frozen):
    """What the verify job measured of a candidate, for the gates to judge. None: it could not be measured.

    `why` says of such a field (by its name) what was in the way. Shares are 0..1.

    - `rows`: the least of several strong counts of the collection.
    - `missing`, `extra`, `stale`: catalogue documents that the collection lacks, rows whose document is gone, rows
      with another text; each confirmed by a second reading some seconds later.
    - `vectors_match`: the least cosine between a stored vector and what the encoder makes of the same text now,
      over `vectors_checked` rows.
    - `encoder_sound`: every vector that the encoder gave was finite, of the right dimension and of unit length.
    - `recall`: of the first `recall_k` hits against brute force, over `recall_queries` queries.
    - `overlap`: mean overlap@10 with the active release, for the same fingerprint only.
    - `ndcg`, `active_ndcg`: nDCG@10 over the `judged` queries, here and with the active release.
    - `zero_results`, `active_zero_results`: share of sample queries without a hit.
    - `p95_ms`: 95th percentile of embedding and searching one query, one at a time, over `timed_queries`.
    """

    rows: int | None = None
    missing: int | None = None
    extra: int | None = None
    stale: int | None = None
    vectors_match: float | None = None
    vectors_checked: int = 0
    encoder_sound: bool | None = None
    recall: float | None = None
    recall_k: int = 0
    recall_queries: int = 0
    overlap: float | None = None
    ndcg: float | None = None
    active_ndcg: float | None = None
    judged: int = 0
    zero_results: float | None = None
    active_zero_results: float | None = None
    p95_ms: float | None = None
    timed_queries: int = 0
    why: dict[str, str] = Field(default_factory=dict)


class JobReport(Frozen):
    """How a job ended; written as the container's termination message.

    `rows` is how many rows the collection holds by the last ID check (a build worker's: documents of its slice);
    `id_sets_equal` is true only when the digests of catalogue and collection agreed, which a build worker does not
    ask; `reused` counts vectors copied from another collection, `updated` rows whose stored fields have changed and
    whose text has not; `bad` names the first bad documents, `failed` counts all. `watermark` is when the last scan of
    the catalogue began: later changes are not in. `verification` is the verify job's.
    """

    kind: Literal["semanticsearch.io/job-report.v1"] = REPORT_KIND
    result: Literal["Succeeded", "Failed"]
    reason: Reason
    message: str
    release: str
    rows: int = 0
    embedded: int = 0
    unchanged: int = 0
    reused: int = 0
    updated: int = 0
    deleted: int = 0
    failed: int = 0
    bad: tuple[BadDocument, ...] = Field(default=())
    id_sets_equal: bool = False
    watermark: datetime | None = None
    verification: Verification | None = None
    duration_seconds: float = 0.0
    rows_per_second: float = 0.0
    finished_at: datetime

    def to_termination_message(self, limit: int = MAX_MESSAGE_BYTES) -> str:
        """JSON of at most `limit` bytes: trims `bad` from its end, then cuts `message`, until it fits."""
        report = self
        while len(encoded := orjson.dumps(report.model_dump(mode="json"))) > limit:
            if report.bad:
                report = report.model_copy(update={"bad": report.bad[:-1]})
            elif report.message:
                kept = report.message.encode()[
                    : max(0, len(report.message.encode()) - (len(encoded) - limit) - 3)
                ]
                shorter = kept.decode(errors="ignore")
                report = report.model_copy(update={"message": shorter + "…" if shorter else ""})
            else:
                raise ValueError(f"a report without names and message is still over {limit} bytes")
        return encoded.decode()

    @classmethod
    def from_termination_message(cls, text: str) -> "JobReport | None":
        """The report in a container's termination message; None when it holds something else or nothing."""
        if REPORT_KIND not in text:
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None
