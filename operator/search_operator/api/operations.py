"""What an index is run by: backups and objectives."""

from typing import Annotated

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, Cel
from search_operator.api.values import Amount, Cron, Duration, TimeZone


class Backup(ApiModel):
    """Backups of vectors and metadata; not served yet."""

    schedule: Cron = "0 2 * * *"
    """Cron, 5 fields."""
    time_zone: TimeZone = "Asia/Shanghai"
    """Time zone of the schedule."""
    destination: Annotated[
        str,
        Field(min_length=1, max_length=512),
        Cel(
            "self.matches('^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*/?$')",
            "must be s3://bucket/prefix, e.g. s3://backups/products",
        ),
    ]
    """Where backups go."""
    credentials_secret_ref: ObjectRef | None = None
    """Secret with the keys of the bucket."""
    keep: Annotated[int, Field(ge=1, le=1000)] = 14
    """Backups that are kept."""


class Objectives(ApiModel):
    """What the search promises; not served yet."""

    p50: Duration | None = None
    """Median latency."""
    p95: Duration | None = None
    """95th percentile of latency."""
    p99: Duration | None = None
    """99th percentile of latency."""
    availability: Amount | None = None
    """Per cent of queries that are answered."""
    peak_queries_per_second: Annotated[int, Field(ge=1, le=10000000)] | None = None
    """Load at the peak."""
