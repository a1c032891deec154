"""How many encoders run: by what, between which bounds, how fast, and in which windows."""

from typing import Annotated, Literal

from pydantic import Field

from search_operator.api.schema import ApiModel, Cel, list_map, rules
from search_operator.api.values import CronOrTime, Duration, HttpEndpoint, TimeZone, at_least, at_most

WHOLE_SECONDS = Cel(
    "!self.contains('ms')", "must be whole seconds, e.g. 30s or 5m; an HPA knows no finer time"
)
"""A rule for a `Duration` that an HPA is given."""
Pods = Annotated[int, Field(ge=1, le=1000)]
Period = Annotated[Duration, WHOLE_SECONDS, at_least("1s"), at_most("30m")]


class PrewarmWindow(ApiModel):
    """A known peak, for which replicas are started before it comes."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the peak, e.g. double-11."""
    start: Annotated[
        CronOrTime,
        Cel(
            "!self.matches('^[^ ]*[*,/-][^ ]* [^ ]+ [^ ]+ [^ ]+ [^ ]+$')",
            "opens more than once an hour, which is no peak; write one minute, e.g. 0 19 * * *, and a longer duration",
        ),
    ]
    """When it starts: cron, or one time (RFC 3339); encoders are started earlier."""
    duration: Annotated[Duration, at_least("1m"), at_most("2160h")]
    """How long it lasts, in real hours."""
    replicas: Annotated[int, Field(ge=1, le=1000)]
    """Encoders that run at least; the monthly cap may allow fewer."""
    time_zone: TimeZone = "Asia/Shanghai"
    """Time zone of a cron start; a time brings its own."""
    lead: Annotated[Duration, at_most("24h")] | None = None
    """How long before start encoders are started; by default status.encoder.startSeconds and a minute, or 5m."""


class ScaleUp(ApiModel):
    """How fast encoders are added; at once by default, as they take minutes to start."""

    pods: Pods = 4
    """Encoders added at most in each period."""
    period: Period = "30s"
    """The period, 1s to 30m."""


class ScaleDown(ApiModel):
    """How fast encoders are taken away; slowly by default, as they take minutes to come back."""

    stabilization_window: Annotated[Duration, WHOLE_SECONDS, at_most("1h")] = "5m"
    """For how long fewer must have sufficed; 0s to 1h."""
    pods: Pods = 1
    """Encoders taken away at most in each period."""
    period: Period = "2m"
    """The period, 1s to 30m."""


class Autoscaling(ApiModel):
    """How many encoders run."""

    model_config = rules(
        Cel(
            "self.minReplicas <= self.maxReplicas",
            "minReplicas is above maxReplicas; lower minReplicas or raise maxReplicas",
            ".minReplicas",
            "'minReplicas %d is above maxReplicas %d; lower minReplicas or raise maxReplicas'"
            ".format([self.minReplicas, self.maxReplicas])",
        ),
        Cel(
            "!has(self.prewarm) || self.prewarm.all(window, window.replicas <= self.maxReplicas)",
            "a window of prewarm has more replicas than maxReplicas; lower its replicas or raise maxReplicas",
            ".prewarm",
        ),
        Cel(
            "!has(self.prometheusAddress) || self.mode != 'hpa'",
            "prometheusAddress is read by KEDA, which mode hpa never takes; write mode: keda, or remove it",
            ".prometheusAddress",
        ),
    )

    mode: Literal["auto", "hpa", "keda"] = "auto"
    """keda: KEDA's ScaledObject; hpa: an HPA by tokens in flight, else by CPU; auto: the best of what is there."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 4
    """Encoders that always run."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = 12
    """Encoders that may run at most; the monthly cap may lower it."""
    target_inflight_tokens: Annotated[int, Field(ge=1, le=1000000)] = 1500
    """Tokens in flight per encoder that scaling aims at, on average."""
    scale_up: ScaleUp = ScaleUp()
    """How fast encoders are added."""
    scale_down: ScaleDown = ScaleDown()
    """How fast encoders are taken away."""
    prometheus_address: HttpEndpoint | None = None
    """Prometheus that KEDA asks, e.g. http://prometheus.monitoring.svc:9090; without it KEDA asks the encoders."""
    prewarm: Annotated[
        tuple[PrewarmWindow, ...],
        Field(max_length=16),
        list_map("name"),
    ] = ()
    """Windows in which more encoders run; where they overlap, the most replicas count."""
