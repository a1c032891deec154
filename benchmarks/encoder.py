"""The encoder against the runtime's limit and its peers: `python -m benchmarks.encoder` (`make bench-encoder`).

One run on one machine: the same model file, the same texts, the same cores, which the load takes its share of too.
- throughput of requests with one query of 16 tokens each, at several concurrencies, against ONNX Runtime alone at its
  best batch, and against each peer;
- p99 of queries that come at random moments at 70 % of our own throughput, against one text alone in the runtime;
- throughput of documents of mixed length, 32 a request.
Peers: `naive`, a FastAPI server with a run a request (benchmarks/naive_encoder.py), and infinity where --infinity
names a Python that has it.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click
import httpx
from pydantic import JsonValue
from rich.console import Console
from search_plane.encoder.settings import available_cores
from search_plane.encoder.tokenising import TextTokeniser
from search_plane.release.embedding_wire import ACCEPT_FLOAT32

from benchmarks.encoder_load import Told
from benchmarks.encoder_models import VARIANTS, Variant
from benchmarks.encoder_plot import plot
from benchmarks.raw_encoder import RawEncoder
from benchmarks.report import RESULTS, Row, write
from sample_catalogue import generate
from tests.testbed.cluster import TestbedError
from tests.testbed.plane import EncoderServer, free_port
from tests.testbed.stores.server_process import ServerProcess
from tests.testbed.weights.folder import WeightsFolder

CONCURRENCIES = (1, 8, 64, 512)
QUERY_TOKENS = 16
DOCUMENTS_A_REQUEST = 32
LOAD_SHARE = 0.7
LEAST_OF_RUNTIME = 0.9
MOST_OF_SINGLE = 3.0
SEED = 7

console = Console(stderr=True)
Body = Mapping[str, object]


@dataclass(frozen=True)
class Server:
    """A server that runs: the route to ask, how its body names the texts, and what to ask for."""

    name: str
    url: str
    body: Callable[[Sequence[str]], Body]
    headers: tuple[str, ...] = ()


@dataclass
class Measured:
    """Figures of one variant. `per_second`: texts a second by (server, concurrency)."""

    limit: float = 0.0
    single_ms: float = 0.0
    per_second: dict[tuple[str, int], float] = field(default_factory=dict)
    p99_ms: dict[tuple[str, int], float] = field(default_factory=dict)
    loaded: list[Told] = field(default_factory=list)
    documents: dict[str, float] = field(default_factory=dict)
    document_limit: float = 0.0
    resident_mib: dict[str, int] = field(default_factory=dict)


def texts_of_products(count: int) -> list[str]:
    """What an index embeds of made-up products."""
    documents = (product.document() for product in generate(count, SEED))
    return [f"{one['brand']} {one['title']} {one['category']}" for one in documents]


def queries_of(tokeniser: TextTokeniser, count: int) -> list[str]:
    """Beginnings of product titles that are 16 tokens long."""
    found: list[str] = []
    for title in texts_of_products(4 * count):
        for length in range(8, len(title)):
            tokens = len(tokeniser.encode([title[:length]])[0])
            if tokens >= QUERY_TOKENS:
                if tokens == QUERY_TOKENS:
                    found.append(title[:length])
                break
        if len(found) == count:
            return found
    raise TestbedError(f"only {len(found)} of {count} queries of {QUERY_TOKENS} tokens")


# A server that runs, and how to learn its resident memory in MiB.
Running = tuple[Server, Callable[[], int]]
Start = Callable[[], contextlib.AbstractContextManager[Running]]


@contextlib.contextmanager
def ours(weights: WeightsFolder, home: Path) -> Iterator[Running]:
    """Our server; and its resident memory."""
    with EncoderServer(weights, home) as server:
        process = server.process
        assert process is not None

        def body(texts: Sequence[str]) -> Body:
            return {"inputs": list(texts)}

        yield (
            Server("ours", f"{server.url}/embed", body, (f"Accept: {ACCEPT_FLOAT32}",)),
            lambda: process.resident_mib,
        )


@contextlib.contextmanager
def started(
    name: str, command: Sequence[object], home: Path, port: int, route: str, key: str
) -> Iterator[Running]:
    """A peer that answers /health when it is ready."""
    home.mkdir(parents=True, exist_ok=True)
    process = ServerProcess(name, command, home=home)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    try:
        process.await_ready(ready, timeout=180)
        yield (
            Server(
                name,
                f"{url}{route}",
                lambda texts: {key: list(texts), "model": "."} if key == "input" else {key: list(texts)},
            ),
            lambda: process.resident_mib,
        )
    finally:
        process.kill()


def peers(variant: Variant, weights: WeightsFolder, home: Path, infinity: str | None) -> list[Start]:
    """How to start each peer."""
    port = free_port()
    naive = [
        sys.executable, "-m", "benchmarks.naive_encoder", "--port", port,
        "--model", weights.path / "model.onnx", "--tokenizer", weights.path / "tokenizer.json",
        *(["--cls"] if weights.identity.pooling == "cls" else []),
    ]  # fmt: skip
    found: list[Start] = [lambda: started("naive", naive, home / "naive", port, "/embed", "inputs")]
    if infinity:
        folder = home / "infinity"
        variant.write_transformers_folder(weights, folder)
        other = free_port()
        command = [
            infinity, "-m", "infinity_emb", "v2", "--engine", "optimum", "--model-id", ".", "--device", "cpu",
            "--pooling-method", weights.identity.pooling, "--no-bettertransformer",
            "--host", "127.0.0.1", "--port", other,
        ]  # fmt: skip
        found.append(lambda: started("infinity", command, folder, other, "/embeddings", "input"))
    return found


def asked(
    server: Server, bodies: Sequence[Body], home: Path, *options: object, refusals: bool = False
) -> Told:
    """What benchmarks.encoder_load tells. Raises TestbedError for answers other than 200 unless `refusals` may be."""
    path = home / "bodies.json"
    path.write_text(json.dumps(list(bodies)))
    headers = [part for header in server.headers for part in ("--header", header)]
    load = [sys.executable, "-m", "benchmarks.encoder_load", "--url", server.url, "--bodies", path]
    command = [str(part) for part in (*load, *headers, *options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise TestbedError(f"the load on {server.name} ended with {done.returncode}: {done.stderr[-500:]}")
    told = Told.model_validate_json(done.stdout)
    if set(told.statuses) != {200} and not refusals:
        raise TestbedError(f"{server.name} answered {told.statuses}")
    return told


def measure(
    variant: Variant, weights: WeightsFolder, home: Path, seconds: float, rounds: int, infinity: str | None
) -> Measured:
    """All figures of one variant; servers run one at a time, the runtime alone before, between and after them."""
    found = Measured()
    raw = RawEncoder(weights)
    tokeniser = TextTokeniser(weights.path / "tokenizer.json", weights.identity.max_tokens)
    queries = queries_of(tokeniser, 512)
    documents = texts_of_products(512)
    bodies = [[query] for query in queries]
    packs = [documents[at : at + DOCUMENTS_A_REQUEST] for at in range(0, len(documents), DOCUMENTS_A_REQUEST)]
    console.print(f"{variant.name}: the runtime alone", highlight=False)
    settings = raw.best(queries[:128], available_cores())
    document_settings = raw.best(documents[:128], available_cores())
    limits, document_limits, singles = [], [], []

    def alone() -> None:
        limits.append(raw.texts_per_second(queries, settings))
        document_limits.append(raw.texts_per_second(documents, document_settings))
        singles.append(raw.milliseconds(queries))

    figures: dict[tuple[str, int], list[Told]] = {}
    for number in range(rounds):
        servers: list[Start] = [
            lambda: ours(weights, home),
            *peers(variant, weights, home / str(number), infinity),
        ]
        for start in servers:
            alone()
            with start() as (server, resident):
                asked(
                    server, [server.body(texts) for texts in bodies], home, "--seconds", 2, "--concurrency", 8
                )
                for concurrency in CONCURRENCIES:
                    console.print(f"{variant.name}: {server.name}, {concurrency} at once", highlight=False)
                    options: tuple[object, ...] = ("--seconds", seconds, "--concurrency", concurrency)
                    told = asked(server, [server.body(texts) for texts in bodies], home, *options)
                    figures.setdefault((server.name, concurrency), []).append(told)
                if server.name == "ours":
                    rate = LOAD_SHARE * figures["ours", 64][-1].per_second
                    options = ("--seconds", 2 * seconds, "--rate", round(rate, 1))
                    found.loaded.append(
                        asked(server, [server.body(texts) for texts in bodies], home, *options)
                    )
                options = ("--seconds", seconds, "--concurrency", 8)
                told = asked(server, [server.body(pack) for pack in packs], home, *options)
                found.documents[server.name] = told.per_second * DOCUMENTS_A_REQUEST
                found.resident_mib[server.name] = resident()
    alone()
    found.limit, found.document_limit = median(limits), median(document_limits)
    found.single_ms = median(singles)
    for key, several in figures.items():
        found.per_second[key] = median(told.per_second for told in several)
        found.p99_ms[key] = median(told.p99_ms for told in several)
    return found


def rows_of(variant: Variant, found: Measured) -> list[Row]:
    """The comparisons; names are the figure, then model, precision and concurrency."""
    label = f"{variant.model} {variant.precision}"
    rows = []
    for concurrency in CONCURRENCIES:
        rows.append(
            Row.compare(
                f"throughput_vs_onnxruntime {label} c={concurrency}",
                found.per_second["ours", concurrency],
                "the runtime alone",
                found.limit,
                unit="texts/s",
                goal=LEAST_OF_RUNTIME if concurrency >= 64 else None,
            )
        )
    p99 = median(told.p99_ms for told in found.loaded)
    rows.append(
        Row.compare(
            f"p99_vs_single {label} at 70 %", p99, "one text alone", found.single_ms,
            unit="ms", goal=MOST_OF_SINGLE, better="lower",
        )
    )  # fmt: skip
    for peer in sorted({name for name, _ in found.per_second} - {"ours"}):
        for concurrency in CONCURRENCIES:
            key, other = ("ours", concurrency), (peer, concurrency)
            rows.append(
                Row.compare(
                    f"throughput_vs_{peer} {label} c={concurrency}", found.per_second[key], peer,
                    found.per_second[other], unit="texts/s", goal=1.0,
                )
            )  # fmt: skip
            rows.append(
                Row.compare(
                    f"p99_vs_{peer} {label} c={concurrency}", found.p99_ms[key], peer, found.p99_ms[other],
                    unit="ms", goal=1.0, better="lower",
                )
            )  # fmt: skip
    rows.append(
        Row.compare(
            f"documents_vs_onnxruntime {label}", found.documents["ours"], "the runtime alone",
            found.document_limit, unit="texts/s",
        )
    )  # fmt: skip
    return rows


@click.command(
    help=__doc__, epilog="example: python -m benchmarks.encoder --model bge-small-zh-v1.5 --seconds 3"
)
@click.option(
    "--model", "models", multiple=True, help="only these variants, by name or by model; default: all"
)
@click.option("--seconds", default=6.0, show_default=True, help="of each measure")
@click.option("--rounds", default=1, show_default=True, help="of all servers in turn; figures are medians")
@click.option("--infinity", type=str, help="a Python with infinity-emb[server,optimum] in it")
@click.option(
    "--results", type=click.Path(path_type=Path), default=RESULTS, help="folder for encoder.json and plots"
)
def main(models: tuple[str, ...], seconds: float, rounds: int, infinity: str | None, results: Path) -> None:
    """Command line."""
    chosen = [v for v in VARIANTS if not models or {v.model, v.name} & set(models)]
    if not chosen:
        raise click.UsageError(f"--model: expected one of {', '.join(v.name for v in VARIANTS)}")
    rows: list[Row] = []
    every: dict[str, Measured] = {}
    for variant in chosen:
        with tempfile.TemporaryDirectory() as home:
            weights = variant.weights(Path(home) / "weights")
            every[variant.name] = measure(variant, weights, Path(home), seconds, rounds, infinity)
        rows += rows_of(variant, every[variant.name])
    notes: dict[str, JsonValue] = {
        name: {
            "single_ms": round(found.single_ms, 2),
            "per_second": {f"{n} c={c}": round(value, 1) for (n, c), value in found.per_second.items()},
            "p99_ms": {f"{n} c={c}": round(value, 1) for (n, c), value in found.p99_ms.items()},
            "resident_mib": dict(found.resident_mib),
            "documents_per_second": {n: round(value, 1) for n, value in found.documents.items()},
        }
        for name, found in every.items()
    }
    write("encoder", rows, notes, results)
    plot(results / "encoder.png", {n: (f.limit, f.per_second, f.p99_ms) for n, f in every.items()})


if __name__ == "__main__":
    main()
