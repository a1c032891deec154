"""What a running gateway's routes share: the releases, the search log, the re-ranker, and what has to end with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from search_plane.gateway.answer import Readiness
from search_plane.gateway.asgi import Leaving
from search_plane.gateway.faults import Unavailable
from search_plane.gateway.metrics import GatewayMetrics
from search_plane.gateway.reranking import PolicyReranker, RerankMetrics
from search_plane.gateway.search import Means, Outcome
from search_plane.gateway.search_log_sinks import LogSettings, search_log
from search_plane.gateway.serving import ReleasePath
from search_plane.gateway.settings import Settings
from search_plane.gateway.sides import Patience
from search_plane.gateway.switch import ReleaseSwitch
from search_plane.gateway.traffic import Traffic
from search_plane.release.record import CatalogueTarget


class Running:
    """What the routes share: the switch and the task that follows the release file."""

    def __init__(
        self, settings: Settings, metrics: GatewayMetrics, leaving: Leaving, log_settings: LogSettings
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.leaving = leaving
        self.traffic = Traffic()
        self.log = search_log(log_settings, self._catalogue, metrics.registry)
        self.means = Means(
            Patience(
                settings.total_timeout_ms / 1000,
                settings.keywords_after_ms / 1000 or None,
                settings.semantic_wait_ms / 1000,
            ),
            metrics,
            lambda: self.switch.policy_file.latest,
            PolicyReranker(
                lambda: self.switch.policy_file.latest.policy.reranker, RerankMetrics(metrics.registry)
            ),
        )
        self._switch: ReleaseSwitch | None = None
        self._following: asyncio.Task[None] | None = None
        self._last_catalogue: CatalogueTarget | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Follows the release file while the server runs."""
        self._switch = ReleaseSwitch(self.settings, self.metrics)
        self._following = asyncio.create_task(self._switch.follow())
        logging_searches = asyncio.create_task(self.log.run())
        try:
            yield
        finally:
            for task in (self._following, logging_searches):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            # The log's last lines may go to the catalogue of the release in use.
            await self.log.close()
            await self.means.reranker.close()
            await self._switch.close()

    def _catalogue(self) -> CatalogueTarget | None:
        """Where the search log's Elasticsearch is: the last release's, also while there is none."""
        if (path := self.switch.current) is not None:
            self._last_catalogue = path.snapshot.catalogue
        return self._last_catalogue

    async def note(self, outcome: Outcome) -> None:
        """The search log's line of an answer."""
        answer = outcome.answer
        self.log.exposure(
            answer,
            outcome.query.key or None,
            search_id=answer.search_id,
            mode=answer.mode,
            assignment=outcome.assignment,
            offset=answer.offset,
            filtered=bool(outcome.query.filters),
            reranked=answer.reranked,
            cohort=outcome.cohort,
            policy=answer.policy,
        )

    @property
    def alive(self) -> bool:
        """False once the release file is no longer followed: only a new process would heal that."""
        return self._following is not None and not self._following.done() and self.switch.alive

    @property
    def switch(self) -> ReleaseSwitch:
        """The switch; there is one while the server runs."""
        assert self._switch is not None
        return self._switch

    def current(self) -> ReleasePath:
        """The release in use, or Unavailable."""
        path = self.switch.current
        if path is None:
            raise Unavailable("release", "absent", "there is no release yet", retry_after=5)
        return path

    def readiness(self) -> Readiness:
        """What /readyz says."""
        switch = self.switch
        current = switch.current
        waiting_for = (
            dict(current.waiting_for) if current else {"release": switch.file_error or "not read yet"}
        )
        ready = not waiting_for and not self.leaving.draining
        self.metrics.ready.set(ready)
        return Readiness(
            ready=ready,
            release=current.snapshot.release if current else None,
            waiting_for=waiting_for,
            pending=switch.pending.snapshot.release if switch.pending else None,
            release_file=switch.file_error,
            draining=self.leaving.draining,
        )
