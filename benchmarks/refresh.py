"""Rows per second of a refresh that finds nothing changed, against the bare scan: `make bench-refresh`.

A real Elasticsearch, a real Milvus, the encoder server as a process, jobs as processes. Over one built release take
turns on one machine:
- the scan of Elasticsearch in this process, at its best page size, every document's text fields read (the limit);
- a refresh job over the unchanged catalogue.
Then one document in a hundred gets another text, and as many another price; another refresh must embed the former only,
and write the latter with the vectors that they have.
The command fails unless the encoder's own count of texts says 0 and then exactly the number changed.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click
from pymilvus import MilvusClient
from rich.console import Console
from search_plane.jobs.rendering import Renderer
from search_plane.jobs.scan import Catalogue
from search_plane.release.record import CatalogueTarget, MilvusTarget, ReleaseSnapshot
from search_plane.release.report import JobReport
from search_plane.stores.catalogue import CatalogueConnection, connect_blocking

from benchmarks.build import measured, stores
from benchmarks.report import Row, alternate, write
from sample_catalogue import apply_changes, index_definition, load, mutate
from tests.testbed.plane import EncoderServer, JobProcess, create_release_collection, sample_record
from tests.testbed.weights.folder import WeightsFolder
from tests.testbed.weights.tiny import tiny_artefact

SEED = 7
JOB_SECONDS = 1800.0
PAGES = (1000, 2000, 5000)

console = Console(stderr=True)


class RefreshBench:
    """One catalogue and one release of it."""

    def __init__(
        self, elasticsearch_url: str, milvus_uri: str, server: EncoderServer, rows: int, home: Path
    ) -> None:
        self.server = server
        self.reports: list[JobReport] = []
        self._rows = rows
        self._home = home
        self._milvus = MilvusClient(uri=milvus_uri, timeout=30)
        identity = server.identity
        name = uuid4().hex[:8]
        self._release = ReleaseSnapshot(
            namespace="bench",
            index="products",
            release="r-12345678",
            fingerprint=identity.fingerprint(),
            encoder=identity,
            encoder_url=server.url,
            milvus=MilvusTarget(uri=milvus_uri, collection=f"bench_{name}"),
            catalogue=CatalogueTarget(url=elasticsearch_url, index=f"bench-{name}"),
        )
        create_release_collection(
            self._milvus, sample_record(identity, "r-12345678"), self._release.milvus.collection
        )
        with connect_blocking(self._release.catalogue, timeout=120) as client:
            client.indices.create(index=self._release.catalogue.index, **index_definition("standard"))
            load(client, self._release.catalogue.index, rows, SEED, analyzer="standard")

    def job(self, kind: str) -> JobReport:
        """A job to its end; raises ClickException when it fails."""
        job = JobProcess(self._release, self._home, kind)
        if code := job.wait(JOB_SECONDS):
            raise click.ClickException(f"the {kind} ended with {code}:\n{job.tail()}")
        return job.report()

    def refresh(self) -> JobReport:
        """A refresh of the unchanged catalogue."""
        report = self.job("refresh")
        self.reports.append(report)
        return report

    def scan(self, page_rows: int) -> float:
        """Documents per second of a scan that does nothing with them."""
        release = self._release
        names = release.catalogue.fields
        fields = Renderer(release.encoder.text_template, names.id, names).source_fields

        async def read() -> float:
            connection = CatalogueConnection(release.catalogue)
            catalogue = Catalogue(connection, fields, page_rows)
            started = time.perf_counter()
            async with await catalogue.scan() as scan:
                read = [len(page) async for page in scan.pages()]
            elapsed = time.perf_counter() - started
            await connection.close()
            assert sum(read) == self._rows
            return self._rows / elapsed

        return asyncio.run(read())

    def best_page(self) -> int:
        """The page size at which a scan is fastest, each tried twice."""
        figures = {rows: max(self.scan(rows), self.scan(rows)) for rows in PAGES}
        return max(figures, key=figures.__getitem__)

    def change(self, count: int) -> None:
        """So many documents get another title, and as many others another price."""
        changes = mutate(SEED, self._rows, at=datetime.now(UTC), retitled=count, repriced=count)
        with connect_blocking(self._release.catalogue, timeout=120) as client:
            apply_changes(client, self._release.catalogue.index, changes)

    def close(self) -> None:
        """Removes the catalogue and the release."""
        self._milvus.drop_collection(self._release.milvus.collection, timeout=30)
        with connect_blocking(self._release.catalogue) as client:
            client.indices.delete(index=self._release.catalogue.index)


def texts_embedded(server: EncoderServer, work: Callable[[], object]) -> int:
    """Texts that the encoder server computed during some work, by its own count."""
    before = server.texts_embedded()
    work()
    return server.texts_embedded() - before


def exactly(name: str, count: int, against: str, wanted: int) -> Row:
    """A row that is met by one number only; its ratio is 1 then."""
    ratio = 1.0 if count == wanted else count / max(1, wanted)
    return Row(
        name=name,
        ours=count,
        against=against,
        limit=wanted,
        ratio=ratio,
        unit="texts",
        goal=1.0,
        met=count == wanted,
    )


@click.command()
@click.option("--rows", default=20_000, show_default=True, help="Documents in the catalogue.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of which the median is taken.")
def main(rows: int, rounds: int) -> None:
    """Measure a refresh without changes and write benchmarks/results/refresh.json; fails when it embeds wrongly."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        home = Path(scratch)
        (home / "tiny").mkdir()
        folder = WeightsFolder(home / "tiny", tiny_artefact(home / "tiny"))
        elasticsearch_url, milvus_uri = stack.enter_context(stores())
        server = stack.enter_context(EncoderServer(folder, home))
        bench = RefreshBench(elasticsearch_url, milvus_uri, server, rows, home)
        stack.callback(bench.close)
        built = bench.job("catchup")
        console.print(f"built {built.rows:,} rows in {built.duration_seconds:.0f} s")
        page = bench.best_page()
        figures: dict[str, list[float]] = {}

        def unchanged() -> None:
            figures.update(
                alternate(
                    {
                        "scan": measured("bare scan", lambda: bench.scan(page)),
                        "refresh": measured("refresh", lambda: bench.refresh().rows_per_second),
                    },
                    rounds,
                    warmups=1,
                )
            )

        without_change = texts_embedded(server, unchanged)
        changed = rows // 100
        bench.change(changed)
        reports: list[JobReport] = []
        after_change = texts_embedded(server, lambda: reports.append(bench.job("refresh")))
    middle = {name: statistics.median(values) for name, values in figures.items()}
    whole = statistics.median(rows / report.duration_seconds for report in bench.reports[1:])
    scan = f"bare scan of Elasticsearch, {page:,} a page"
    told = [
        Row.compare("refresh_vs_scan", middle["refresh"], scan, middle["scan"], unit="rows/s"),
        Row.compare("whole_refresh_vs_scan", whole, scan, middle["scan"], unit="rows/s"),
        exactly("embeddings_unchanged", without_change, "texts changed", 0),
        exactly("embedded_after_1_percent", after_change, "texts changed", changed),
        exactly("reported_after_1_percent", reports[0].embedded, "texts changed", changed),
        exactly("updated_after_1_percent", reports[0].updated, "prices changed", changed),
    ]
    write(
        "refresh",
        told,
        notes={
            "rows": rows,
            "rounds": rounds,
            "weights": folder.identity.model,
            "dimension": folder.identity.dimension,
            "figures": {name: [round(value, 1) for value in values] for name, values in figures.items()},
            "whole_refresh": "rows / seconds from the job's first request to its report: the pass, two ID checks, a flush",
            "counted_by": "the encoder server's own count of texts, over all refreshes of the run",
            "shared": "encoder, job, Milvus and Elasticsearch share the machine's cores",
        },
    )
    if not all(row.met for row in told if row.goal is not None):
        sys.exit(1)


if __name__ == "__main__":
    main()
