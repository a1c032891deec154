"""What an index is run by: backups, objectives and money."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, Cel, refused
from search_operator.api.values import Amount, Cron, Currency, Date, Duration, TimeZone


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


class MilvusNodes(ApiModel):
    """The query nodes that this index pays for."""

    count: Annotated[int, Field(ge=0, le=10000)]
    """Nodes in all."""
    node_hour: Amount
    """Price of one node for one hour."""


class Prices(ApiModel):
    """Prices in the currency of the cost section."""

    as_of: Date
    """Day on which the prices were read."""
    encoder_node_hour: Amount
    """Price of one encoder's node for one hour."""
    milvus_nodes: MilvusNodes | None = None
    """Milvus nodes."""
    storage_gib_month: Annotated[
        Annotated[Amount, refused("cost.prices.storageGiBMonth")] | None, Field(alias="storageGiBMonth")
    ] = None
    """Price of one GiB of storage for one month; not served yet."""


class Cost(ApiModel):
    """The bill and its cap."""

    currency: Currency = "USD"
    """ISO 4217 code of all amounts."""
    monthly_cap: Annotated[
        Amount, Cel("!self.matches('^[0]*([.][0]*)?$')", 'must be above 0, e.g. "5000"')
    ] = "5000"
    """The most that a month may cost."""
    time_zone: Annotated[TimeZone, refused("cost.timeZone")] | None = None
    """Time zone in which months begin; not served yet, as every month is taken as 744 hours."""
    action: Literal["Clamp", "Alert"] = "Clamp"
    """Clamp lowers the encoders' maximum so that 744 hours stay under the cap; Alert only tells."""
    prices: Prices | None = None
    """Prices; without them the cost is unknown and nothing is clamped."""
