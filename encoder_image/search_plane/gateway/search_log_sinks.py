"""Where the search log goes: lines on standard output, or documents in Elasticsearch; and its settings."""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import orjson
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, model_validator

from search_plane.gateway.search_log import Event, SearchLog, SearchLogMetrics, Sink
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import CatalogueConnection

log = logging.getLogger(__name__)

LOGGER: Final = "search_log"
_REQUEST_SECONDS = 10.0
# Elasticsearch already has the event, from an attempt whose answer got lost.
_THERE_ALREADY = 409
_RETRYABLE = (429, 502, 503, 504)


class LogSettings(BaseModel):
    """From SEARCH_LOG_DESTINATION (None, Stdout, Elasticsearch), SEARCH_LOG_INDEX and SEARCH_LOG_SALT.

    The index lies in the catalogue's Elasticsearch, with its credentials. The salt is a Secret's: all gateways of an
    index need the same one.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    destination: Literal["none", "stdout", "elasticsearch"] = "none"
    index: str = ""
    salt: str = Field(default="", repr=False)

    @model_validator(mode="after")
    def _whole(self) -> "LogSettings":
        if self.destination == "elasticsearch" and not self.index:
            raise ValueError(
                "SEARCH_LOG_INDEX must name an index where SEARCH_LOG_DESTINATION is Elasticsearch"
            )
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "LogSettings":
        """Raises pydantic.ValidationError for a wrong value; empty variables count as absent."""
        given = {name: environment.get(f"SEARCH_LOG_{name.upper()}", "") for name in cls.model_fields}
        if given["destination"]:
            given["destination"] = given["destination"].lower()
        return cls.model_validate({name: text for name, text in given.items() if text})


def search_log(
    settings: LogSettings, catalogue: Callable[[], CatalogueTarget | None], registry: CollectorRegistry
) -> SearchLog:
    """The log that the settings ask for. `catalogue` is the one in use now, None while there is no release."""
    sink: Sink | None = None
    if settings.destination == "stdout":
        sink = StdoutSink()
    elif settings.destination == "elasticsearch":
        sink = ElasticsearchSink(catalogue, settings.index)
    if sink is not None and not settings.salt:
        log.warning("SEARCH_LOG_SALT is not set: each gateway sorts users into buckets of its own")
    return SearchLog(sink, settings.salt, SearchLogMetrics(registry))


class StdoutSink:
    """A line of JSON an event, through the logger `search_log`, whose lines are the events and nothing else."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)
        if not self._logger.handlers:
            handler = logging.StreamHandler(sys.stdout)
            handler.setFormatter(logging.Formatter("%(message)s"))
            self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    async def write(self, events: Sequence[Event]) -> int:
        """In a thread: a pipe that nobody empties must not hold up queries."""
        await asyncio.to_thread(self._lines, events)
        return 0

    def _lines(self, events: Sequence[Event]) -> None:
        for event in events:
            self._logger.info("%s", orjson.dumps(event).decode())

    async def close(self) -> None:
        """Nothing to let go of: the handler is the process's."""


class ElasticsearchSink:
    """Documents in an index or a data stream, by `create` alone: an attempt that is repeated makes none twice."""

    def __init__(self, catalogue: Callable[[], CatalogueTarget | None], index: str) -> None:
        """Connects when there is something to write, anew when the catalogue has moved."""
        self._catalogue = catalogue
        self._index = index
        self._connection: CatalogueConnection | None = None
        self._told = False

    async def write(self, events: Sequence[Event]) -> int:
        """Raises while Elasticsearch can't be reached or is overloaded; what it calls wrong is refused for good."""
        connection = await self._connected()
        operations: list[dict[str, Any]] = []
        for event in events:
            operations += [{"create": {"_id": event["event_id"]}}, dict(event)]
        response = await connection.call(lambda client: client.bulk(index=self._index, operations=operations))
        results = [item["create"] for item in response.body["items"]]
        wrong = [one for one in results if one["status"] >= 300 and one["status"] != _THERE_ALREADY]
        if any(one["status"] in _RETRYABLE for one in wrong):
            # Those that it took are there already the next time.
            raise RuntimeError("Elasticsearch is overloaded")
        if wrong and not self._told:
            self._told = True
            log.warning(
                "index %s refuses events of the search log: %s",
                self._index,
                wrong[0].get("error", {}).get("type"),
            )
        return len(wrong)

    async def _connected(self) -> CatalogueConnection:
        target = self._catalogue()
        if target is None:
            raise RuntimeError("there is no release, so nobody knows which Elasticsearch")
        if self._connection is None or self._connection.target != target:
            await self.close()
            self._connection = CatalogueConnection(target, timeout=_REQUEST_SECONDS, connections=1)
        return self._connection

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
