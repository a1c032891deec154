"""What came of a fine-tuning, as a JSON file beside the artefact, and whether it is worth keeping. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

import orjson

from search_plane.finetuning.evaluation import DECIDING
from search_plane.finetuning.pairs import Pairs
from search_plane.finetuning.settings import TrainingSettings
from search_plane.finetuning.split import Split
from search_plane.release.identity import Frozen

REPORT_KIND: Final = "semanticsearch.io/finetune-report.v1"

Metrics = Mapping[str, float]
Outcome = Literal["exported", "exported although it is no better", "refused"]


class RowCounts(Frozen):
    """`skipped` counts rows by reason; the others were used, for a pair or as a hard negative.

    `bad_products` counts lines of the file of products that are no product.
    """

    read: int
    used: int
    skipped: Mapping[str, int]
    negatives_left_out: Mapping[str, int]
    bad_products: int


class SplitSizes(Frozen):
    """Pairs and different queries on either side, and the products among which the held-out queries search."""

    training_pairs: int
    training_queries: int
    training_pairs_with_negatives: int
    held_out_pairs: int
    held_out_queries: int
    held_out_products: int


class FinetuneReport(Frozen):
    """The report. `metrics` are between 0 and 1; `seconds` are on the wall; `pin` is empty where nothing was exported."""

    kind: Literal["semanticsearch.io/finetune-report.v1"] = REPORT_KIND
    outcome: Outcome
    model: str
    revision: str
    base: str
    precision: str
    pin: str
    rows: RowCounts
    split: SplitSizes
    held_out_share: float
    least_gain: float
    settings: TrainingSettings
    device: str
    steps: int
    resumed_from_step: int
    trained_parameters: int
    last_loss: float
    before: Metrics
    after: Metrics
    seconds: Mapping[str, float]

    def to_json(self) -> bytes:
        """Indented JSON with its keys in order."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(self.model_dump(), option=options)


def row_counts(pairs: Pairs, bad_products: int) -> RowCounts:
    """Rows read, used and skipped."""
    return RowCounts(
        read=pairs.rows,
        used=pairs.rows - len(pairs.skipped),
        skipped=dict(Counter(row.reason for row in pairs.skipped).most_common()),
        negatives_left_out={reason: count for reason, count in pairs.negatives_left_out.items() if count},
        bad_products=bad_products,
    )


def split_sizes(split: Split) -> SplitSizes:
    """How large either side is."""
    return SplitSizes(
        training_pairs=len(split.training),
        training_queries=len({pair.query_key for pair in split.training}),
        training_pairs_with_negatives=sum(1 for pair in split.training if pair.negatives),
        held_out_pairs=len(split.held_out),
        held_out_queries=split.held_out_queries,
        held_out_products=len({text for pair in split.held_out for text in (pair.product, *pair.negatives)}),
    )


def outcome(before: Metrics, after: Metrics, least_gain: float, *, keep_anyway: bool) -> Outcome:
    """Whether to export: only where nDCG@10 has risen by more than `least_gain`, or where it is wanted anyway."""
    # Written so that a figure that is not a number is no gain.
    if after[DECIDING] - before[DECIDING] > least_gain:
        return "exported"
    return "exported although it is no better" if keep_anyway else "refused"
