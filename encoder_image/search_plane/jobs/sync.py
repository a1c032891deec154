"""Build and refresh in one: makes a collection equal to the catalogue, embedding only what changed.

A pass scans one point in time of the catalogue, writes what the collection lacks, and leaves a digest of what
should be there. Where rows hold the product's fields too, one whose text has not changed is written with the vector
that it has. Passes repeat until the collection's digest equals that of a pass begun after the writing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from search_plane.jobs.channel import Channel
from search_plane.jobs.collection import NewRow, ReleaseCollection
from search_plane.jobs.embedding import EncoderClient, TextRefused
from search_plane.jobs.failure import JobFailed
from search_plane.jobs.idset import IdSetDigest
from search_plane.jobs.progress import ProgressBoard
from search_plane.jobs.rendering import Rendered, Renderer, Unusable, content_part
from search_plane.jobs.reuse import Donors
from search_plane.jobs.scan import Catalogue, Document, PointInTimeExpired, Scan
from search_plane.release.record import MAX_ID_LENGTH
from search_plane.release.report import EXIT_EMPTY_CATALOGUE, BadDocument, Phase

MAX_ROUNDS = 10
NAMED_BAD_DOCUMENTS = 20

_MAX_RESTARTS = 5
_LOOKUPS = 3
_COPIERS = 2
# Rows whose vectors are read at once: 500 of 1,024 numbers are 2 MB.
_COPY_ROWS = 500
_CHECK_ROWS = 1000
_IDS_AT_ONCE = 200_000
_WINDOW_LINGER = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncLimits:
    """How much is under way at once. `upsert_linger`: seconds that an upsert waits to fill.

    Texts are sorted by length within `window` rows, so that a batch holds texts of about one length.
    """

    batch: int = 32
    requests: int = 8
    window: int = 1024
    upsert_rows: int = 512
    upsert_linger: float = 1.0


@dataclass(slots=True)
class Pass:
    """What one pass found and did. Counts are documents; `wanted` is what should be there; `began`: before the scan.

    `updated` of those `written` kept their vectors. `keeping`: ids on their way to be written so.
    """

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    unchanged: int = 0
    written: int = 0
    updated: int = 0
    keeping: set[str] = field(default_factory=set)
    failed: int = 0
    bad: list[BadDocument] = field(default_factory=list)
    wanted: IdSetDigest = field(default_factory=IdSetDigest)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the job found. `unchanged`: what the first pass left alone; `watermark`: when the last scan began.

    `rows`: size of the collection, or, where `equal` is False for nobody compared, documents that were seen to.
    """

    rows: int
    unchanged: int
    failed: int
    bad: tuple[BadDocument, ...]
    rounds: int
    watermark: datetime
    equal: bool


class Sync:
    """One run of the job."""

    def __init__(
        self,
        catalogue: Catalogue,
        renderer: Renderer,
        encoder: EncoderClient,
        collection: ReleaseCollection,
        board: ProgressBoard,
        limits: SyncLimits | None = None,
        donors: Donors | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._renderer = renderer
        self._encoder = encoder
        self._collection = collection
        self._board = board
        self._limits = limits or SyncLimits()
        self._donors = donors
        self._refused: dict[str, str] = {}
        self._current = Pass()
        self._written_before = 0

    @property
    def bad(self) -> tuple[BadDocument, ...]:
        """The first bad documents of the pass in work."""
        return tuple(self._current.bad)

    async def fill(self) -> Outcome:
        """One pass over the catalogue, or its slice: nothing is deleted or compared. Raises JobFailed."""
        await self._check()
        done = await self._pass_with_restarts("Scanning")
        return self._outcome(done, rounds=1, equal=False)

    async def run(self) -> Outcome:
        """Returns when the ID sets are equal; raises JobFailed when they can't be made so."""
        await self._check()
        for number in range(1, MAX_ROUNDS + 1):
            done = await self._pass_with_restarts("Scanning" if number == 1 else "Reconciling")
            self._board.failed = done.failed
            self._board.phase = "Reconciling"
            equal = await self._reconcile(done.wanted)
            log.info("pass done", extra={"round": number, "written": done.written, "equal": equal})
            # A pass with new vectors took its time; what changed meanwhile shows only in a later point in time. What was
            # only given other fields is as of this one, and prices that never rest don't double every refresh.
            if (
                equal
                and not (number == 1 and done.written > done.updated)
                and await self._still_equal(done.wanted)
            ):
                return self._outcome(done, rounds=number, equal=True)
        raise JobFailed("NeverEqual", f"catalogue and collection still differed after {MAX_ROUNDS} rounds")

    async def _check(self) -> None:
        encoder = self._encoder
        await self._collection.check(encoder.fingerprint, encoder.dimension)
        if self._collection.stores_fields:
            self._renderer = self._renderer.storing(self._catalogue.fields)
            self._catalogue.ask_for(self._renderer.source_fields)
        if self._donors and not await self._donors.admit(encoder.fingerprint, encoder.dimension):
            self._donors = None

    def _outcome(self, done: Pass, *, rounds: int, equal: bool) -> Outcome:
        return Outcome(
            rows=done.wanted.rows,
            unchanged=self._board.unchanged,
            failed=done.failed,
            bad=self.bad,
            rounds=rounds,
            watermark=done.began,
            equal=equal,
        )

    async def _pass_with_restarts(self, phase: Phase) -> Pass:
        self._written_before = 0
        for _ in range(_MAX_RESTARTS):
            try:
                done = await self._pass(phase)
            except PointInTimeExpired as expired:
                # What was written stays; the new scan only looks it up.
                self._written_before += self._current.written
                log.warning("scan starts again", extra={"error": str(expired)})
                continue
            done.written += self._written_before
            return done
        raise JobFailed("CatalogueUnavailable", f"the scan of the catalogue broke off {_MAX_RESTARTS} times")

    async def _pass(self, phase: Phase) -> Pass:
        done = self._current = Pass()
        async with await self._catalogue.scan() as scan:
            if not scan.total and not self._catalogue.part:
                raise JobFailed("EmptyCatalogue", "the catalogue holds no document", EXIT_EMPTY_CATALOGUE)
            self._board.begin_pass(phase, scan.total)
            await self._run_stages(scan, done)
        # That a slice holds nothing to index says nothing about the catalogue.
        if not done.wanted.rows and not self._catalogue.part:
            first = done.bad[0]
            raise JobFailed(
                "EmptyCatalogue",
                f"none of {scan.total} documents can be indexed; the first, {first.id}: {first.reason}",
                EXIT_EMPTY_CATALOGUE,
            )
        return done

    async def _run_stages(self, scan: Scan, done: Pass) -> None:
        """Read -> look up -> copy -> sort -> embed -> write, all at once; a full channel holds its producers back."""
        limits = self._limits
        copiers = _COPIERS if self._donors or self._collection.stores_fields else 0
        pages: Channel[list[Document]] = Channel(2)
        lacking: Channel[Rendered] = Channel(limits.window, producers=_LOOKUPS)
        changed: Channel[Rendered] = Channel(limits.window, producers=copiers) if copiers else lacking
        batches: Channel[list[Rendered]] = Channel(limits.requests)
        rows: Channel[NewRow] = Channel(limits.upsert_rows, producers=limits.requests + copiers)
        try:
            async with asyncio.TaskGroup() as stages:
                stages.create_task(_read(scan, pages))
                for _ in range(_LOOKUPS):
                    stages.create_task(self._look_up(pages, lacking, done))
                for _ in range(copiers):
                    stages.create_task(self._copy(lacking, changed, rows, done))
                stages.create_task(self._sort(changed, batches))
                for _ in range(limits.requests):
                    stages.create_task(self._embed(batches, rows, done))
                stages.create_task(self._write(rows, done))
        except BaseExceptionGroup as group:
            raise _first_error(group) from group

    async def _look_up(
        self, pages: Channel[list[Document]], lacking_texts: Channel[Rendered], done: Pass
    ) -> None:
        async for page in pages:
            rendered = [text for document in page if (text := self._render(document, done)) is not None]
            held = await self._collection.row_hashes([text.id for text in rendered]) if rendered else {}
            lacking = [text for text in rendered if held.get(text.id) != text.row_hash]
            kept = len(rendered) - len(lacking)
            done.unchanged += kept
            if self._board.phase == "Scanning":
                # After a restart, what this job itself wrote before is found unchanged too.
                self._board.unchanged = max(0, done.unchanged - self._written_before)
            self._board.settled(kept)
            for text in lacking:
                if content_part(held.get(text.id, "")) == text.content_hash:
                    done.keeping.add(text.id)
                await lacking_texts.put(text)
        await lacking_texts.done()

    async def _copy(
        self, lacking: Channel[Rendered], changed: Channel[Rendered], rows: Channel[NewRow], done: Pass
    ) -> None:
        async for texts in lacking.batches(_COPY_ROWS, _WINDOW_LINGER):
            copies = await self._kept([text for text in texts if text.id in done.keeping])
            done.keeping.difference_update(text.id for text in texts)
            left = _without(texts, copies)
            if left and self._donors:
                copies += await self._donors.copies(left)
                left = _without(left, copies)
            for row in copies:
                await rows.put(row)
            for text in left:
                await changed.put(text)
        await changed.done()
        await rows.done()

    async def _kept(self, texts: list[Rendered]) -> list[NewRow]:
        """Rows for those of the texts that the collection still holds, beside other fields."""
        if not texts:
            return []
        by_id = {text.id: text for text in texts}
        return [
            NewRow(by_id[row.id], row.vector, "updated")
            for row in await self._collection.rows(list(by_id))
            if row.content_hash == by_id[row.id].content_hash
        ]

    async def _sort(self, changed: Channel[Rendered], batches: Channel[list[Rendered]]) -> None:
        async for window in changed.batches(self._limits.window, _WINDOW_LINGER):
            window.sort(key=lambda text: len(text.text))
            for start in range(0, len(window), self._limits.batch):
                await batches.put(window[start : start + self._limits.batch])
        await batches.done()

    async def _embed(self, batches: Channel[list[Rendered]], rows: Channel[NewRow], done: Pass) -> None:
        async for batch in batches:
            for row in await self._embed_batch(batch, done):
                await rows.put(row)
        await rows.done()

    async def _embed_batch(self, batch: list[Rendered], done: Pass) -> list[NewRow]:
        try:
            vectors = await self._encoder.embed([text.text for text in batch])
        except TextRefused as refused:
            if len(batch) == 1:
                text = batch[0]
                self._refused[text.id] = text.content_hash
                done.wanted.remove(text.id, text.row_hash)
                self._leave_out(Unusable(text.id, f"refused by the encoder: {refused}"), done)
                return []
            # One text spoils the batch; halving finds it.
            middle = len(batch) // 2
            return await self._embed_batch(batch[:middle], done) + await self._embed_batch(
                batch[middle:], done
            )
        return [NewRow(text, vector) for text, vector in zip(batch, vectors, strict=True)]

    async def _write(self, rows: Channel[NewRow], done: Pass) -> None:
        async for chunk in rows.batches(self._limits.upsert_rows, self._limits.upsert_linger):
            await self._collection.upsert(chunk)
            done.written += len(chunk)
            origins = Counter(row.origin for row in chunk)
            done.updated += origins["updated"]
            self._board.updated += origins["updated"]
            self._board.reused += origins["reused"]
            self._board.embedded += origins["embedded"]
            self._board.settled(len(chunk))

    def _render(self, document: Document, done: Pass) -> Rendered | None:
        rendered = self._renderer.render(document.id, document.source)
        if isinstance(rendered, Unusable):
            self._leave_out(rendered, done)
            return None
        done.wanted.add(rendered.id, rendered.row_hash)
        return rendered

    def _leave_out(self, document: Unusable, done: Pass) -> None:
        done.failed += 1
        self._board.settled(1)
        self._board.failed = max(self._board.failed, done.failed)
        log.warning("document left out", extra={"document": document.id, "error": document.reason})
        if len(done.bad) < NAMED_BAD_DOCUMENTS:
            shown = document.id.encode(errors="replace").decode()[:MAX_ID_LENGTH]
            done.bad.append(BadDocument(id=shown, reason=document.reason[:200]))

    async def _reconcile(self, wanted: IdSetDigest) -> bool:
        """Deletes what the catalogue no longer has; whether the collection then holds what is wanted."""
        held = await self._collection.digest()
        differing = sorted(wanted.differing(held))
        if not differing:
            return True
        deleted = 0
        # So many buckets at a time that their ids fit into memory whatever the collection's size.
        step = max(1, _IDS_AT_ONCE * wanted.buckets // max(1, held.rows))
        for start in range(0, len(differing), step):
            ids = await self._collection.ids_in(frozenset(differing[start : start + step]), wanted.buckets)
            for first in range(0, len(ids), _CHECK_ROWS):
                gone = await self._no_longer_wanted(ids[first : first + _CHECK_ROWS])
                await self._collection.delete(gone)
                deleted += len(gone)
        if not deleted:
            return False
        self._board.deleted += deleted
        return not wanted.differing(await self._collection.digest())

    async def _no_longer_wanted(self, ids: list[str]) -> list[str]:
        documents = await self._catalogue.fetch(ids)
        return [row_id for row_id in ids if not self._is_wanted(documents.get(row_id))]

    def _is_wanted(self, document: Document | None) -> bool:
        if document is None:
            return False
        rendered = self._renderer.render(document.id, document.source)
        return isinstance(rendered, Rendered) and self._refused.get(rendered.id) != rendered.content_hash

    async def _still_equal(self, wanted: IdSetDigest) -> bool:
        """Flushes and reads once more: a reading is believed only when another one, later, agrees."""
        self._board.phase = "Flushing"
        await self._collection.flush()
        return not wanted.differing(await self._collection.digest())


async def _read(scan: Scan, pages: Channel[list[Document]]) -> None:
    async for page in scan.pages():
        await pages.put(page)
    await pages.done()


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _without(texts: Iterable[Rendered], rows: Collection[NewRow]) -> list[Rendered]:
    written = {row.rendered.id for row in rows}
    return [text for text in texts if text.id not in written]
