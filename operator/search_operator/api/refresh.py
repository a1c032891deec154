"""The refresh: when changed products are embedded again."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.schema import ApiModel, Cel, refused
from search_operator.api.values import FORWARD_RANGES, Cron, Duration, TimeZone, at_least


class Refresh(ApiModel):
    """The scheduled re-embedding of what has changed."""

    schedule: Annotated[Cron, FORWARD_RANGES] = "0 3 * * 1"
    """Cron, 5 fields."""
    time_zone: TimeZone = "Asia/Shanghai"
    """Time zone of the schedule."""
    mode: Annotated[
        Literal["Incremental", "Full"],
        refused("refresh.mode Full", "self != 'Full'", "remove it or write Incremental"),
    ] = "Incremental"
    """Incremental embeds only what has changed; Full is not served yet."""
    parallelism: Annotated[
        int,
        Field(ge=1, le=64),
        refused("refresh.parallelism other than 1", "self == 1", "remove it or write 1"),
    ] = 1
    """Jobs that share one refresh."""
    starting_deadline: Annotated[Duration, at_least("10s")] = "6h"
    """How late a missed refresh may still start."""
    requested_at: (
        Annotated[
            str,
            Field(max_length=40),
            Cel("self.matches('^20[0-9]{2}-')", 'must be a time, e.g. "2026-11-11T00:00:00Z"'),
            refused("refresh.requestedAt"),
        ]
        | None
    ) = None
    """Asks for one refresh now; not served yet."""
