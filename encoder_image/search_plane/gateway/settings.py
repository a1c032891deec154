"""What the gateway is told from outside, through its environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from search_plane.release.policy import POLICY_KEY

Milliseconds = Annotated[int, Field(ge=1, le=60_000)]


class Settings(BaseModel):
    """The gateway's settings; each field is read from the environment variable of its name in capitals.

    `*_timeout_ms` are the longest times one query may wait for a dependency, `total_timeout_ms` for all of
    them. Milvus' own is long because its proxy spends most of a deadline on a dead query node before it asks
    the other replica. `encoder_hedge_ms` and `milvus_hedge_ms` are after how long a second, equal request is
    sent (0: never): another encoder or replica may answer what one that is starting or stopping holds up.
    `keywords_after_ms` is how long a query is given before a search by its words begins beside it, to be answered from
    when the encoder or Milvus fails (0: never, such a query gets 503).
    `semantic_wait_ms` is how long a query by meaning and words waits for the meaning before it is answered by words.
    `vector_cache_*` bound the queries' vectors that are kept, `result_cache_*` the lists of products that they led to
    (0: none are kept); each release has its own.
    `probe_seconds` is how often the sentinel rows are looked for. `drain_seconds` is how long a gateway that was
    told to stop goes on serving while it says on /readyz that it is leaving (what the cluster needs to stop
    sending queries); `stop_seconds` is how long queries in flight may then still take.
    """

    model_config = ConfigDict(frozen=True)

    release_file: Path = Path("/etc/search/release/release.json")
    host: str = "0.0.0.0"  # noqa: S104 - a pod's server listens on the pod's address
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    encoder_timeout_ms: Milliseconds = 1_000
    encoder_hedge_ms: Annotated[int, Field(ge=0, le=60_000)] = 200
    milvus_timeout_ms: Milliseconds = 1_500
    milvus_hedge_ms: Annotated[int, Field(ge=0, le=60_000)] = 150
    keywords_after_ms: Annotated[int, Field(ge=0, le=60_000)] = 500
    semantic_wait_ms: Milliseconds = 500
    es_timeout_ms: Milliseconds = 500
    total_timeout_ms: Milliseconds = 2_000
    pool_connections: Annotated[int, Field(ge=1, le=4_096)] = 64
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 0.2
    probe_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    vector_cache_entries: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    vector_cache_megabytes: Annotated[int, Field(ge=0, le=65_536)] = 64
    result_cache_entries: Annotated[int, Field(ge=0, le=10_000_000)] = 2_000
    result_cache_megabytes: Annotated[int, Field(ge=0, le=65_536)] = 64
    result_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 5.0
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    stop_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0

    @property
    def next_file(self) -> Path:
        """The release to make ready: beside the release file, so that both change in one step."""
        return self.release_file.with_name("next.json")

    @property
    def policy_file(self) -> Path:
        """How queries are answered: beside the release file."""
        return self.release_file.with_name(POLICY_KEY)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Settings from variables such as RELEASE_FILE; empty ones count as absent.

        Raises pydantic.ValidationError that names the field of a wrong value.
        """
        given = {name: environment.get(name.upper(), "") for name in cls.model_fields}
        return cls.model_validate({name: text for name, text in given.items() if text})
