"""One fine-tuning from pairs to a report: measure, train or go on, merge, measure again, export where it is better."""

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from search_plane.encoder.artefact import DIGEST_PREFIX
from search_plane.encoder.exporting import described_model, export
from search_plane.encoder.packing import normalising_tokenizer
from search_plane.finetuning.evaluation import DECIDING, measured, retrieval
from search_plane.finetuning.inputs import Inputs
from search_plane.finetuning.pairs import Pair
from search_plane.finetuning.report import FinetuneReport, outcome, row_counts, split_sizes
from search_plane.finetuning.rows import Refused
from search_plane.finetuning.settings import TrainingSettings
from search_plane.finetuning.split import split
from search_plane.finetuning.training import merged, trained
from search_plane.release.models import KnownModel

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Tell = Callable[[str], None]

JOB_FILE = "job.json"
MERGED = "merged"


@dataclass(slots=True)
class Stopwatch:
    """Seconds on the wall by what was done."""

    seconds: dict[str, float]

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 1)


def finetuned(
    chosen: argparse.Namespace, settings: TrainingSettings, inputs: Inputs, work: Path, tell: Tell
) -> FinetuneReport:
    """The report; the artefact is written to `chosen.out` where its outcome says so.

    `work` holds checkpoints, and at the end the merged model. Raises Refused, or ExportRefused.
    """
    watch = Stopwatch({})
    parts = split(inputs.pairs.pairs, chosen.held_out)
    sizes = split_sizes(parts)
    tell(
        f"{sizes.training_pairs} pairs of {sizes.training_queries} queries to learn from, "
        f"{sizes.held_out_pairs} of {sizes.held_out_queries} to judge by"
    )
    claim(work, _job(chosen, settings, parts.training))
    asked = retrieval(parts.held_out)
    published, model = loaded(chosen)
    with watch("before"):
        before = measured(published, model, asked, settings.batch)
    tell(f"before: {_line(before)}")
    with watch("training"):
        outcome_of = trained(published, model, parts.training, settings, work, tell)
    tuned = merged(loaded(chosen)[0], work)
    with watch("after"):
        after = measured(tuned, model, asked, settings.batch)
    tell(f"after: {_line(after)}")
    device = str(tuned.device)
    tuned.save(str(work / MERGED), create_model_card=False)
    verdict = outcome(before, after, chosen.least_gain, keep_anyway=chosen.keep_anyway)
    digest = ""
    if verdict != "refused":
        with watch("export"):
            digest = export(
                tuned.to("cpu"),
                model,
                revision=chosen.revision,
                precision=chosen.precision,
                source=chosen.source,
                out=chosen.out,
                fuse=not chosen.no_fuse,
                as_published=chosen.as_published,
            )
    return FinetuneReport(
        outcome=verdict,
        model=model.name,
        revision=chosen.revision,
        base=_base(chosen),
        precision=chosen.precision,
        pin=f"{DIGEST_PREFIX}{digest}" if digest else "",
        rows=row_counts(inputs.pairs, len(inputs.bad_products)),
        split=sizes,
        held_out_share=chosen.held_out,
        least_gain=chosen.least_gain,
        settings=settings,
        device=device,
        steps=outcome_of.steps,
        resumed_from_step=outcome_of.resumed_from,
        trained_parameters=outcome_of.trained_parameters,
        last_loss=outcome_of.last_loss,
        before=before,
        after=after,
        seconds=watch.seconds,
    )


def loaded(chosen: argparse.Namespace) -> "tuple[SentenceTransformer, KnownModel]":
    """The model as its artefact will read texts: the same normaliser, the same longest text.

    Without that it would learn from tokens that it never meets again. Raises ExportRefused.
    """
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    published = SentenceTransformer(chosen.folder, revision=chosen.commit)
    model = described_model(chosen, published)
    published.max_seq_length = model.max_tokens
    if not chosen.as_published:
        words = published.tokenizer.backend_tokenizer
        words.normalizer = Tokenizer.from_str(
            normalising_tokenizer(words.to_str().encode()).decode()
        ).normalizer
    return published, model


def claim(work: Path, job: dict[str, Any]) -> None:
    """Make `work` this job's own. Raises Refused where it holds the checkpoints of another."""
    path = work / JOB_FILE
    work.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        held = orjson.loads(path.read_bytes())
        for name in job:
            if held.get(name) != job[name]:
                raise Refused(
                    f"--work {work}: holds a job of another {name} ({held.get(name)}, now {job[name]}): "
                    "remove it or name another folder"
                )
        return
    path.write_bytes(orjson.dumps(job, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _job(chosen: argparse.Namespace, settings: TrainingSettings, training: Sequence[Pair]) -> dict[str, Any]:
    """What a checkpoint depends on."""
    digest = hashlib.sha256()
    for pair in training:
        digest.update(orjson.dumps([pair.query, pair.product, pair.negatives]))
    return {
        "model": chosen.model,
        "base": _base(chosen),
        "prefixes": [chosen.query_prefix, chosen.document_prefix],
        "as_published": chosen.as_published,
        "pairs": digest.hexdigest(),
        "settings": settings.model_dump(),
    }


def _base(chosen: argparse.Namespace) -> str:
    return f"{chosen.folder} at {chosen.commit}" if chosen.commit else str(chosen.folder)


def _line(metrics: Any) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def refusal(report: FinetuneReport) -> str:
    """Why nothing was exported, in one line."""
    gain = report.after[DECIDING] - report.before[DECIDING]
    return (
        f"--least-gain {report.least_gain}: {DECIDING} on {report.split.held_out_queries} held-out queries went from "
        f"{report.before[DECIDING]:.4f} to {report.after[DECIDING]:.4f} ({gain:+.4f}), so nothing was exported: "
        "give more or cleaner pairs or another learning rate, or export it with --keep-anyway"
    )
