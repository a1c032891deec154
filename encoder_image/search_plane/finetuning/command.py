"""Fine-tune a sentence-transformers model on click pairs, and export it where held-out queries find more than before.

Writes the artefact to --out, and beside it OUT.report.json, OUT.report.svg and, where rows were skipped,
OUT.skipped.jsonl. Run again after it was killed, it goes on from its last checkpoint. Needs the `finetune` extra.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from search_plane.encoder.exporting import ExportRefused, add_model_arguments, check_source
from search_plane.finetuning.inputs import add_input_arguments, read_inputs, tell_skipped
from search_plane.finetuning.job import finetuned, refusal
from search_plane.finetuning.plot import plot
from search_plane.finetuning.rows import Refused
from search_plane.finetuning.settings import TrainingSettings

_EPILOG = """example:
  python -m search_plane encoder finetune --model m3e-base --from ./m3e-base --revision 1.0.0-clicks-1 \\
      --pairs clicks.jsonl --products products.jsonl --precision fp16 \\
      --source 'moka-ai/m3e-base at <commit>, tuned on the clicks of October' --out m3e-base-clicks-1
"""
_HELP = {
    "epochs": "how often each pair is seen",
    "batch": "pairs a step; each is a negative of the others",
    "learning_rate": "the highest, after warm-up",
    "warmup": "share of the steps in which the rate rises",
    "rank": "of the adapters",
    "alpha": "of the adapters; they are scaled by alpha / rank",
    "dropout": "before the adapters",
    "scale": "what cosines are multiplied by in the loss",
    "checkpoint_steps": "steps between two checkpoints",
    "seed": "of adapters, dropout and order",
}


def parser() -> argparse.ArgumentParser:
    """All arguments; those of the training are TrainingSettings' fields."""
    made = argparse.ArgumentParser(
        prog="search_plane encoder finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    add_model_arguments(made)
    made.add_argument("--out", type=Path, required=True, help="folder to write the artefact into")
    made.add_argument(
        "--work", type=Path, help="folder of checkpoints and the merged model (default: OUT.work)"
    )
    add_input_arguments(made)
    add = made.add_argument_group("judgement").add_argument
    add("--held-out", type=float, default=0.1, help="share of the queries to judge by (default: %(default)s)")
    add(
        "--least-gain",
        type=float,
        default=0.0,
        help="export only where nDCG@10 rises by more than this (default: %(default)s)",
    )
    add("--keep-anyway", action="store_true", help="export it even so")
    training = made.add_argument_group("training")
    for name, field in TrainingSettings.model_fields.items():
        training.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            help=f"{_HELP[name]} (default: %(default)s)",
        )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Fine-tune, report, export and print the pin; 1 with one line on stderr where it is refused."""
    parsing = parser()
    chosen = parsing.parse_args(arguments)
    check_source(parsing, chosen)
    work = chosen.work or _beside(chosen.out, ".work")
    try:
        settings = TrainingSettings.model_validate(
            {name: getattr(chosen, name) for name in TrainingSettings.model_fields}
        )
        if not 0 < chosen.held_out < 1:
            raise Refused(f"--held-out {chosen.held_out}: expected a share between 0 and 1")
        inputs = read_inputs(chosen)
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        tell_skipped(inputs.skipped, _beside(chosen.out, ".skipped.jsonl"), _tell)
        report = finetuned(chosen, settings, inputs, work, _tell)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).replace("_", "-")
        _tell(f"--{name} {first['input']}: {first['msg']}")
        return 1
    except (Refused, ExportRefused) as error:
        _tell(str(error))
        return 1
    _beside(chosen.out, ".report.json").write_bytes(report.to_json())
    plot(_beside(chosen.out, ".report.svg"), report)
    _tell(f"report: {_beside(chosen.out, '.report.json')}")
    if report.outcome == "refused":
        _tell(refusal(report))
        return 1
    sys.stdout.write(f"{report.pin}\n")
    return 0


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.name + ending)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
