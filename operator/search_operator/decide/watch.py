"""The watch after a switch: do the answers of the new release hold what its gates promised?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from search_plane.release.gateway_state import ReleaseTraffic

from search_operator.api.spec import Spec
from search_operator.api.values import duration_of
from search_operator.observe.observation import GatewayView, Observation

# Fewer answers say nothing about a percentage or a percentile.
FEWEST_QUERIES = 100
# Ten times what an availability of 99.9 % lets fail: an outage of seconds must not take a good release back.
MOST_FAILED = 0.01
# By how much a new release must be worse than one that broke the thresholds itself; a p95 is known to 10 %.
WORSE = 1.25
# The first queries on new connections, caches and autoscalers are not the release's.
SETTLE = timedelta(seconds=20)


@dataclass(frozen=True)
class Breach:
    """What broke, as one word and as a sentence."""

    reason: str
    message: str


def traffic_of(gateways: Iterable[GatewayView], release: str) -> ReleaseTraffic:
    """What all gateways together saw of a release; the percentile is that of the slowest gateway."""
    seen = [t for g in gateways if g.state for t in g.state.traffic if t.release == release]
    return ReleaseTraffic(
        release=release,
        queries=sum(t.queries for t in seen),
        failed=sum(t.failed for t in seen),
        empty=sum(t.empty for t in seen),
        p95_ms=max((t.p95_ms for t in seen if t.p95_ms is not None), default=None),
    )


def breach(
    observation: Observation, release: str, since: datetime, before: ReleaseTraffic | None = None
) -> Breach | None:
    """What the answers since the switch break, if anything; nothing is judged while a store is known to be away."""
    spec = observation.index.spec
    age = observation.now - since
    if not SETTLE <= age <= duration_of(spec.rollout.watch):
        return None
    if observation.milvus.problem or observation.catalogue.problem:
        return None
    return judge(traffic_of(observation.gateways, release), spec, before)


def judge(traffic: ReleaseTraffic, spec: Spec, before: ReleaseTraffic | None = None) -> Breach | None:
    """Whether a minute's traffic of a release breaks what its gates promised.

    `before`: the replaced release's last minute. What was as bad then is not the new release's fault.
    """
    gates = spec.rollout.gates
    if traffic.queries < FEWEST_QUERIES:
        return None
    known = before if before and before.queries >= FEWEST_QUERIES else ReleaseTraffic(release="")
    failed, empty = _share(traffic.failed, traffic), _share(traffic.empty, traffic)
    if failed > max(MOST_FAILED, WORSE * _share(known.failed, known)):
        return Breach(
            "QueriesFail", f"{failed:.1%} of {traffic.queries:,} queries failed, above {MOST_FAILED:.1%}"
        )
    most_empty = float(gates.max_zero_result_rate)
    if empty > max(most_empty, WORSE * _share(known.empty, known)):
        message = f"{empty:.1%} of {traffic.queries:,} queries had no hit, above gates.maxZeroResultRate"
        return Breach("ZeroResults", f"{message} {most_empty:.1%}")
    slowest = max(duration_of(gates.max_p95).total_seconds() * 1000, WORSE * (known.p95_ms or 0.0))
    if traffic.p95_ms is not None and traffic.p95_ms > slowest:
        message = f"p95 of {traffic.queries:,} queries is {traffic.p95_ms:.0f} ms"
        return Breach("TooSlow", f"{message}, above gates.maxP95 {gates.max_p95}")
    return None


def _share(part: int, traffic: ReleaseTraffic) -> float:
    return part / traffic.queries if traffic.queries else 0.0
