"""Money: what each item costs, the cap on a month, and what is done before it is crossed."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, Cel, rules
from search_operator.api.values import Amount, Currency, Date, OpenCostUrl, TimeZone

Count = Annotated[int, Field(ge=0, le=10000)]


class PricedNodes(ApiModel):
    """Nodes that this index pays for, whatever runs on them."""

    count: Count
    """Nodes in all."""
    node_hour: Amount
    """Price of one node for one hour."""


class Prices(ApiModel):
    """Prices in the currency of the cost section, by item."""

    model_config = rules(
        Cel(
            "self.purchase != 'Spot' || has(self.spotNodeHour)",
            "purchase Spot needs spotNodeHour; write the price of a spot node for one hour",
            ".spotNodeHour",
        ),
        Cel(
            "has(self.storageGiB) == has(self.storageGiBMonth)",
            "storageGiB and storageGiBMonth belong together: how much is stored, and what one GiB costs a month",
            ".storageGiB",
        ),
    )

    as_of: Date
    """Day on which the prices were read."""
    currency: Currency | None = None
    """Currency of these prices; must be that of the cost section. A shared ConfigMap must say it."""
    encoder_node_hour: Amount
    """Price of one encoder's node for one hour, on demand."""
    purchase: Literal["OnDemand", "Spot"] = "OnDemand"
    """How encoders' nodes beyond the reserved ones are bought."""
    spot_node_hour: Amount | None = None
    """Price of one encoder's node for one hour as a spot node, which purchase Spot counts with."""
    reserved: PricedNodes | None = None
    """Reserved encoder nodes: paid whether they run or not, and the first ones that encoders run on."""
    reranker_node_hour: Amount | None = None
    """Price of one re-ranker's node for one hour; by default that of an encoder's node."""
    milvus_nodes: PricedNodes | None = None
    """Milvus nodes."""
    elasticsearch_nodes: PricedNodes | None = None
    """Elasticsearch nodes."""
    gateway_hour: Amount | None = None
    """Price of one gateway for one hour."""
    storage_gib: Annotated[Annotated[int, Field(ge=0, le=100_000_000)] | None, Field(alias="storageGiB")] = (
        None
    )
    """GiB that are stored, replicas included, e.g. 61 for 10 million vectors of 768 dimensions, twice."""
    storage_gib_month: Annotated[Amount | None, Field(alias="storageGiBMonth")] = None
    """Price of one GiB of storage for one month."""
    backup_month: Amount | None = None
    """Price of backups for one month."""


class OpenCost(ApiModel):
    """OpenCost, whose account of the month is compared with the ledger's; the ledger is never changed by it."""

    url: OpenCostUrl
    """URL of its API, e.g. http://opencost.opencost.svc:9003."""
    tolerance_percent: Annotated[int, Field(ge=1, le=1000)] = 20
    """By how much, in percent of the ledger's figure, the two may differ."""
    currency: Currency = "USD"
    """Currency that OpenCost counts in, which it does not tell; must be that of the cost section."""


class Cost(ApiModel):
    """The bill and its cap."""

    model_config = rules(
        Cel(
            "!has(self.prices) || !has(self.pricesConfigMapRef)",
            "prices and pricesConfigMapRef exclude each other; remove one",
            ".pricesConfigMapRef",
        ),
        Cel(
            "!has(self.prices) || !has(self.prices.currency) || self.prices.currency == self.currency",
            "prices.currency differs from cost.currency, and nothing is converted; write prices in cost.currency",
            ".prices.currency",
        ),
        Cel(
            "!has(self.openCost) || self.openCost.currency == self.currency",
            "openCost.currency differs from cost.currency, and nothing is converted; write the currency that OpenCost "
            "counts in, and compare only where it is cost.currency",
            ".openCost.currency",
        ),
    )

    currency: Currency = "USD"
    """ISO 4217 code of all amounts."""
    monthly_cap: Annotated[
        Amount, Cel("!self.matches('^[0]*([.][0]*)?$')", 'must be above 0, e.g. "5000"')
    ] = "5000"
    """The most that a month may cost."""
    time_zone: TimeZone = "Asia/Shanghai"
    """Time zone in which billing months begin."""
    action: Literal["Clamp", "Alert"] = "Clamp"
    """Clamp gives up full rebuilds, the re-ranker, then encoders, before the cap is crossed; Alert only tells."""
    prices: Prices | None = None
    """Prices; without them, here or in a ConfigMap, the cost is unknown and nothing is clamped."""
    prices_config_map_ref: ObjectRef | None = None
    """ConfigMap of this namespace whose key prices.yaml holds the same fields as prices, currency included."""
    open_cost: OpenCost | None = None
    """OpenCost to compare the ledger with, at most hourly."""
