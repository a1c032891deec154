"""The encoder against the runtime's limit and its peers: `python -m benchmarks.encoder` (`make bench-encoder`).

One run on one machine: the same model file, the same texts, the same cores, which the load takes its share of too.
- throughput of requests with one query of 16 tokens each, at several concurrencies, and of documents of mixed length,
  16 a request, against ONNX Runtime alone at its best batch, and against each peer;
- p99 of the same against each peer;
- p99 of queries that come at random moments at 70 % of our own throughput, against one text alone in the runtime.
Peers: `naive`, a FastAPI server with a run a request (benchmarks/naive_encoder.py), and infinity where --infinity
names a Python that has it. Each must give the model's own vectors before it is measured.
"""

import tempfile
from pathlib import Path

import click
from pydantic import JsonValue

from benchmarks.encoder_measure import Plan, measured, progress
from benchmarks.encoder_models import VARIANTS
from benchmarks.encoder_plot import plot
from benchmarks.encoder_rows import Figures, rows_of
from benchmarks.report import RESULTS, Row, write


@click.command(
    help=__doc__, epilog="example: python -m benchmarks.encoder --model bge-small-zh-v1.5 --seconds 3"
)
@click.option(
    "--model", "models", multiple=True, help="only these variants, by name or by model; default: all"
)
@click.option("--seconds", default=4.0, show_default=True, help="of each measure")
@click.option("--rounds", default=2, show_default=True, help="of all servers in turn; figures are medians")
@click.option("--infinity", type=str, help="a Python with requirements/infinity.txt in it; default: without")
@click.option(
    "--results", type=click.Path(path_type=Path), default=RESULTS, help="folder for encoder.json and plots"
)
def main(models: tuple[str, ...], seconds: float, rounds: int, infinity: str | None, results: Path) -> None:
    """Command line."""
    chosen = [v for v in VARIANTS if not models or {v.model, v.name} & set(models)]
    if not chosen:
        raise click.UsageError(f"--model: expected one of {', '.join(v.name for v in VARIANTS)}")
    # The peers run in folders of their own.
    plan = Plan(seconds, rounds, str(Path(infinity).absolute()) if infinity else None)
    every: dict[str, Figures] = {}
    rows: list[Row] = []
    for variant in chosen:
        with tempfile.TemporaryDirectory() as home:
            every[variant.name] = measured(variant, Path(home), plan)
        rows += rows_of(variant.name, every[variant.name])
    notes: dict[str, JsonValue] = {name: found.notes() for name, found in every.items()}
    write("encoder", rows, notes, results)
    plot(results / "encoder.png", every)
    progress(f"{results / 'encoder.json'} and plots are written")


if __name__ == "__main__":
    main()
