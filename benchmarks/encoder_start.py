"""What an encoder costs before its first query: `python -m benchmarks.encoder_start` (`make bench-encoder-start`).

Seconds from the process's start until it is ready, its memory then and after a load, each against a process that only
loads the model and runs one text; and with --images the size of the image, on the CPU and with CUDA.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click
from rich.console import Console

from benchmarks.encoder_models import VARIANTS, Variant
from benchmarks.encoder_servers import asked, ours
from benchmarks.encoder_texts import texts_of_products
from benchmarks.report import RESULTS, Row, write
from tests.testbed.cluster.images import build_image
from tests.testbed.weights.folder import WeightsFolder

REPOSITORY = Path(__file__).parents[1]
DOCKERFILE = REPOSITORY / "encoder_image" / "Dockerfile"
IMAGES = {"plane": "requirements/plane.txt", "plane-gpu": "requirements/plane-gpu.txt"}
MOST_TIMES = 3.0

console = Console(stderr=True)


def bare(weights: WeightsFolder) -> tuple[float, int]:
    """Seconds and MiB of a process that loads the model and runs one text."""
    command = [sys.executable, "-m", "benchmarks.bare_start"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, str(weights.path / "model.onnx"), str(weights.path / "tokenizer.json")],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return time.perf_counter() - began, int(done.stdout)


def started(weights: WeightsFolder, home: Path) -> tuple[float, int, int]:
    """Seconds until our server is ready, MiB then, and MiB after documents of mixed length for five seconds."""
    began = time.perf_counter()
    with ours(weights, home) as server:
        seconds, at_rest = time.perf_counter() - began, server.resident()
        texts = texts_of_products(256)
        requests = [texts[at : at + 32] for at in range(0, len(texts), 32)]
        asked(server, requests, home, "--seconds", 5, "--concurrency", 8)
        return seconds, at_rest, server.resident()


def rows_of(variant: Variant, rounds: int) -> list[Row]:
    """The comparisons of one model; medians of some rounds in turn."""
    with tempfile.TemporaryDirectory() as home:
        weights = variant.weights(Path(home) / "weights")
        bare(weights)
        limits, found = [], []
        for _ in range(rounds):
            limits.append(bare(weights))
            found.append(started(weights, Path(home)))
    against = "the model loaded and asked once"
    seconds, memory = (median(one[at] for one in limits) for at in (0, 1))

    def memory_row(name: str, mib: list[int]) -> Row:
        return Row.compare(f"{name} {variant.name}", median(mib), against, memory, unit="MiB", better="lower")

    return [
        Row.compare(
            f"start_to_ready {variant.name}", median(one[0] for one in found), against, seconds,
            unit="s", better="lower", goal=MOST_TIMES,
        ),
        memory_row("memory_ready", [one[1] for one in found]),
        memory_row("memory_loaded", [one[2] for one in found]),
    ]  # fmt: skip


def image_mib(name: str, requirements: str) -> float:
    """Size of the image's archive: all layers, unpacked."""
    archive = build_image(
        f"localhost/semantic-search/{name}:measured",
        REPOSITORY,
        dockerfile=DOCKERFILE,
        build_args={"REQUIREMENTS": requirements},
        progress=console.print,
    )
    return archive.stat().st_size / 2**20


def image_row() -> Row:
    """The image with CUDA against the one without."""
    plain, cuda = (image_mib(*each) for each in IMAGES.items())
    return Row.compare("image plane-gpu", cuda, "image plane", plain, unit="MiB", better="lower")


@click.command(help=__doc__, epilog="example: python -m benchmarks.encoder_start --rounds 3 --images")
@click.option("--model", "models", multiple=True, help="only these variants, by name; default: all")
@click.option("--rounds", default=5, show_default=True, help="figures are medians")
@click.option("--images", is_flag=True, help="build both images and compare them, too (a quarter of an hour)")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="folder for the figures")
def main(models: tuple[str, ...], rounds: int, images: bool, results: Path) -> None:
    """Command line."""
    chosen = [variant for variant in VARIANTS if not models or variant.name in models]
    if not chosen:
        raise click.UsageError(f"--model: expected one of {', '.join(v.name for v in VARIANTS)}")
    rows = [row for variant in chosen for row in rows_of(variant, rounds)]
    write("encoder_start", [*rows, *([image_row()] if images else [])], {"rounds": rounds}, results)


if __name__ == "__main__":
    main()
