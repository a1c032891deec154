"""What a gateway says of itself at /release; the operator reads it from every pod. Imported by the operator too."""

from typing import Final

from pydantic import Field

from search_plane.release.identity import Frozen

TRAFFIC_WINDOW_SECONDS: Final = 60


class ReleaseTraffic(Frozen):
    """What a gateway saw of one release's queries within the last TRAFFIC_WINDOW_SECONDS.

    `failed` counts queries that the release could not answer: 503, or found by their words only. `empty` are answers
    without a hit; `p95_ms` is the 95th percentile of the whole query, None without an answered one.
    """

    release: str
    queries: int = 0
    failed: int = 0
    empty: int = 0
    p95_ms: float | None = None


class GatewayState(Frozen):
    """Which release a gateway answers from, which one it has made ready, and which ones queries in flight still use.

    `release`, `fingerprint`, `collection` and `revision` (of the snapshot, see ReleaseSnapshot.revision) are empty
    without a release. `next` and `next_revision` name what next.json or a newer release.json announces; `prepared` is
    true once each of its parts has answered this gateway; `waiting_for` says what has not. `leaving` are replaced
    releases that some query still uses. `breakers` are the states (`closed`, `open`, `half-open`) of the breakers of the
    release in use, by dependency: `encoder`, `milvus`, `elasticsearch`, `semantic`; empty without a release. `policy` is
    the revision of the search policy that it answers by.
    """

    release: str = ""
    fingerprint: str = ""
    collection: str = ""
    revision: str = ""
    next: str = ""
    next_revision: str = ""
    prepared: bool = False
    waiting_for: dict[str, str] = Field(default_factory=dict)
    leaving: tuple[str, ...] = ()
    draining: bool = False
    policy: str = ""
    breakers: dict[str, str] = Field(default_factory=dict)
    traffic: tuple[ReleaseTraffic, ...] = ()
