"""The refresh: when changed products are embedded again."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.schema import ApiModel
from search_operator.api.values import FORWARD_RANGES, Cron, Duration, Time, TimeZone, at_least


class Refresh(ApiModel):
    """The scheduled re-embedding of what has changed."""

    schedule: Annotated[Cron, FORWARD_RANGES] = "0 3 * * 1"
    """Cron, 5 fields."""
    time_zone: TimeZone = "Asia/Shanghai"
    """Time zone of the schedule."""
    mode: Literal["Incremental", "Full"] = "Incremental"
    """Incremental embeds what has changed, in place; Full builds a new release from nothing, and switches to it."""
    parallelism: Annotated[int, Field(ge=1, le=64)] = 4
    """Workers that share the build of a release, each with its own part of the catalogue."""
    starting_deadline: Annotated[Duration, at_least("10s")] = "6h"
    """How late a missed refresh may still start."""
    requested_at: Time | None = None
    """Asks for one refresh now: each new time asks once. kubectl may use an annotation instead."""
