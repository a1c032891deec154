"""Rows per second of a build job, against the bare encoder: `python -m benchmarks.build` (`make bench-build`).

Three measures of the same texts take turns on one machine:
- the model in ONNX Runtime, in this process, at its best batch size and threading (the limit);
- the encoder server alone, asked for the same batches with as many requests under way as a job has;
- the job itself, from a catalogue in Elasticsearch to a new collection in Milvus, ended with equal ID sets.
"""

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import click
from pymilvus import MilvusClient
from rich.console import Console
from search_plane.encoder.settings import available_cores
from search_plane.jobs.embedding import EncoderClient
from search_plane.jobs.rendering import Rendered, Renderer
from search_plane.jobs.sync import SyncLimits
from search_plane.release.record import CatalogueTarget, MilvusTarget, ReleaseSnapshot
from search_plane.release.report import JobReport
from search_plane.stores.catalogue import connect_blocking

from benchmarks.raw_encoder import RawEncoder
from benchmarks.report import Row, alternate, write
from sample_catalogue import generate, index_definition, load
from tests.testbed.plane import EncoderServer, JobProcess, create_release_collection, sample_record
from tests.testbed.stores.local import LocalElasticsearch, LocalMilvus
from tests.testbed.weights.bge import bge_weights
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact

SEED = 7
GOAL = 0.8
JOB_SECONDS = 900.0

console = Console(stderr=True)


def service_texts_per_second(server: EncoderServer, texts: list[str], limits: SyncLimits) -> float:
    """The server alone, through the job's own client and batches."""

    async def ask() -> float:
        identity = server.identity
        client = EncoderClient(server.url, identity.fingerprint(), identity.dimension)
        started = time.perf_counter()
        ordered = sorted(texts, key=len)
        batches = [ordered[start : start + limits.batch] for start in range(0, len(ordered), limits.batch)]
        waiting = iter(batches)

        async def worker() -> None:
            for batch in waiting:
                await client.embed(batch)

        async with asyncio.TaskGroup() as workers:
            for _ in range(limits.requests):
                workers.create_task(worker())
        elapsed = time.perf_counter() - started
        await client.close()
        return len(texts) / elapsed

    return asyncio.run(ask())


class BuildBench:
    """Builds of one catalogue, each into a new collection that is dropped afterwards."""

    def __init__(
        self, elasticsearch_url: str, milvus_uri: str, server: EncoderServer, rows: int, home: Path
    ) -> None:
        self._server = server
        self._home = home
        self._milvus_uri = milvus_uri
        self._milvus = MilvusClient(uri=milvus_uri, timeout=30)
        self._catalogue = CatalogueTarget(url=elasticsearch_url, index=f"bench-{uuid4().hex[:8]}")
        self.reports: list[JobReport] = []
        with connect_blocking(self._catalogue, timeout=120) as client:
            client.indices.create(index=self._catalogue.index, **index_definition("standard"))
            load(client, self._catalogue.index, rows, SEED, analyzer="standard")

    def build(self) -> JobReport:
        """One job from nothing to equal ID sets; its report."""
        identity = self._server.identity
        collection = f"bench_{uuid4().hex[:8]}"
        create_release_collection(self._milvus, sample_record(identity, "r-12345678"), collection)
        release = ReleaseSnapshot(
            namespace="bench",
            index="products",
            release="r-12345678",
            fingerprint=identity.fingerprint(),
            encoder=identity,
            encoder_url=self._server.url,
            milvus=MilvusTarget(uri=self._milvus_uri, collection=collection),
            catalogue=self._catalogue,
        )
        job = JobProcess(release, self._home)
        try:
            code = job.wait(JOB_SECONDS)
        finally:
            self._milvus.drop_collection(collection, timeout=30)
        if code != 0:
            raise click.ClickException(f"the job ended with {code}:\n{job.tail()}")
        report = job.report()
        self.reports.append(report)
        return report

    def close(self) -> None:
        """Removes the catalogue."""
        with connect_blocking(self._catalogue) as client:
            client.indices.delete(index=self._catalogue.index)


@contextlib.contextmanager
def stores() -> Iterator[tuple[str, str]]:
    """URL of Elasticsearch and URI of Milvus: those that the environment names, else started for the run."""
    with contextlib.ExitStack() as stack:
        elasticsearch = os.environ.get("TEST_ELASTICSEARCH_URL")
        milvus = os.environ.get("TEST_MILVUS_URI")
        yield (
            elasticsearch or stack.enter_context(LocalElasticsearch()).url,
            milvus or stack.enter_context(LocalMilvus()).uri,
        )


def measured(name: str, measure: Callable[[], float]) -> Callable[[], float]:
    """`measure`, telling each figure as it comes."""

    def told() -> float:
        figure = measure()
        console.print(f"  {name}: {figure:,.1f} rows/s")
        return figure

    return told


@click.command()
@click.option("--rows", default=3000, show_default=True, help="Documents in the catalogue.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of which the median is taken.")
@click.option("--weights", type=click.Choice(["bge", "tiny"]), default="bge", show_default=True)
def main(rows: int, rounds: int, weights: str) -> None:
    """Measure a build against the bare encoder and write benchmarks/results/build.json."""
    limits = SyncLimits()
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        home = Path(scratch)
        if weights == "bge":
            folder = bge_weights()
        else:
            (home / "tiny").mkdir()
            folder = WeightsFolder(home / "tiny", tiny_artefact(home / "tiny"))
        elasticsearch_url, milvus_uri = stack.enter_context(stores())
        renderer = Renderer(folder.identity.text_template, "sku")
        rendered = [renderer.render(product.sku, product.document()) for product in generate(rows, SEED)]
        texts = [row.text for row in rendered if isinstance(row, Rendered)]

        raw = RawEncoder(folder)
        best = raw.best(texts[:512], available_cores())
        console.print(f"the bare encoder does best with {best}")
        server = stack.enter_context(EncoderServer(folder, home))
        bench = BuildBench(elasticsearch_url, milvus_uri, server, rows, home)
        stack.callback(bench.close)
        figures = alternate(
            {
                "raw": measured("bare encoder", lambda: raw.texts_per_second(texts, best)),
                "service": measured(
                    "encoder server", lambda: service_texts_per_second(server, texts, limits)
                ),
                "build": measured("build", lambda: bench.build().rows_per_second),
            },
            rounds,
        )
    middle = {name: statistics.median(values) for name, values in figures.items()}
    whole = statistics.median(report.embedded / report.duration_seconds for report in bench.reports)
    bare = f"bare ONNX Runtime, {best}"
    unit = "rows/s"
    write(
        "build",
        [
            Row.compare("build_vs_encoder", middle["build"], bare, middle["raw"], unit=unit, goal=GOAL),
            Row.compare(
                "build_vs_service", middle["build"], "encoder server alone", middle["service"], unit=unit
            ),
            Row.compare("service_vs_encoder", middle["service"], bare, middle["raw"], unit=unit),
            Row.compare("whole_job_vs_encoder", whole, bare, middle["raw"], unit=unit),
        ],
        notes={
            "rows": rows,
            "rounds": rounds,
            "weights": folder.identity.model,
            "figures": {name: [round(value, 1) for value in values] for name, values in figures.items()},
            "whole_job": "rows / seconds from the job's first request to its report, both ID checks and the flush in it",
            "shared": "encoder, job, Milvus and Elasticsearch share the machine's cores",
        },
    )


if __name__ == "__main__":
    main()
