"""Two operators: one writes; when it is lost, the other takes over and mends what broke meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from demo.cluster_access import rolled_out
from demo.parts import OPERATOR, SYSTEM_NAMESPACE
from tests.cluster.index_bed import Bed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

TAKES_OVER_WITHIN = 30.0
POD_OF_A_WRITE = "authentication.kubernetes.io/pod-name"


@pytest.fixture
def two_operators(bed: Bed) -> Iterator[None]:
    scale = ("-n", SYSTEM_NAMESPACE, "scale", f"deployment/{OPERATOR}")
    bed.cluster.ask(*scale, "--replicas=2")
    rolled_out(bed.cluster, SYSTEM_NAMESPACE, OPERATOR, 120)
    yield
    bed.cluster.ask(*scale, "--replicas=1")
    rolled_out(bed.cluster, SYSTEM_NAMESPACE, OPERATOR, 120)


def writers(bed: Bed, since: float) -> set[str]:
    """Pods that wrote as the operator, Leases apart; the audit log has them from the tokens."""
    return {pod for event in bed.operator_requests(since) for pod in event["user"]["extra"][POD_OF_A_WRITE]}


def holder(lease: dict[str, dict[str, str]]) -> str:
    return lease["spec"].get("holderIdentity", "")


@pytest.mark.usefixtures("two_operators")
def test_one_of_two_writes_and_the_other_takes_over(bed: Bed, served: str) -> None:
    pods = {pod["metadata"]["name"] for pod in bed.operator_pods()}
    assert len(pods) == 2
    lease = bed.follow(
        OPERATOR, lambda found: holder(found) in pods, "a living holder", 40, "lease", SYSTEM_NAMESPACE
    )
    first = holder(lease)
    (second,) = pods - {first}

    began = time.time()
    restore(bed, served)
    if bed.cluster.audit_log is not None:
        assert writers(bed, began) == {first}

    lost = time.monotonic()
    bed.cluster.ask(
        *("-n", SYSTEM_NAMESPACE, "delete", "pod", first, "--force", "--grace-period=0", "--wait=false")
    )
    after = time.time()
    bed.k("delete", "hpa", bed.encoder_name(served), "--wait=false")
    lease = bed.follow(
        OPERATOR,
        lambda found: holder(found) not in ("", first),
        "another holder",
        TAKES_OVER_WITHIN,
        "lease",
        SYSTEM_NAMESPACE,
    )
    print(f"taken over after {time.monotonic() - lost:.1f} s")
    bed.follow(bed.encoder_name(served), lambda _: True, "the autoscaler to come back", 30, "hpa")
    bed.await_ready(served)
    if bed.cluster.audit_log is not None and holder(lease) == second:
        assert writers(bed, after) <= {first, second}
        assert second in writers(bed, after)


def restore(bed: Bed, index: str) -> None:
    """Give the leader something to write."""
    name = bed.encoder_name(index)
    before = json.loads(bed.k("get", "hpa", name, "-o", "json"))["metadata"]["uid"]
    bed.k("delete", "hpa", name, "--wait=false")
    bed.follow(name, lambda hpa: hpa["metadata"]["uid"] != before, "to come back", 15, "hpa")
