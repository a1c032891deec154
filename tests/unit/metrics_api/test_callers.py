"""Who is trusted, by what the cluster publishes."""

import json
from typing import Any

import pytest
from search_operator.metrics_api.callers import Trust, trust_of

from tests.unit.metrics_api.front_proxy import ClientAuthority

PEM = ClientAuthority.make().pem


def published(**data: str) -> dict[str, Any]:
    return {"data": data}


def certificate(*names: str) -> dict[str, Any]:
    """As `ssl` tells it."""
    return {"subject": ((("organizationName", "k8s"),), *((("commonName", name),) for name in names))}


def test_authorities_and_names_are_taken_from_the_configmap() -> None:
    found = trust_of(
        published(
            **{"requestheader-client-ca-file": PEM, "requestheader-allowed-names": json.dumps(["a", "b"])}
        )
    )
    assert found == Trust(PEM, frozenset({"a", "b"}))


@pytest.mark.parametrize("names", [{}, {"requestheader-allowed-names": "[]"}])
def test_no_names_means_any(names: dict[str, str]) -> None:
    assert trust_of(published(**{"requestheader-client-ca-file": PEM}, **names)).names == frozenset()


@pytest.mark.parametrize(
    ("config_map", "told"),
    [
        (None, "aggregation layer"),
        ({}, "aggregation layer"),
        (published(**{"client-ca-file": PEM}), "aggregation layer"),
        (published(**{"requestheader-client-ca-file": "nothing"}), "can't be read"),
        (
            published(**{"requestheader-client-ca-file": PEM, "requestheader-allowed-names": "a"}),
            "can't be read",
        ),
        (
            published(**{"requestheader-client-ca-file": PEM, "requestheader-allowed-names": '"a"'}),
            "no list",
        ),
    ],
)
def test_where_nobody_can_be_trusted_it_says_why(config_map: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        trust_of(config_map)


def test_a_certificate_is_judged_by_its_last_common_name() -> None:
    trust = Trust(PEM, frozenset({"front-proxy"}))
    assert trust.admits(certificate("front-proxy"))
    assert trust.admits(certificate("x", "front-proxy"))
    assert not trust.admits(certificate("front-proxy", "x"))
    assert not trust.admits(certificate())
    assert not trust.admits({})
    assert not trust.admits(None)
    assert Trust(PEM, frozenset()).admits(certificate("x"))
    assert not Trust(PEM, frozenset()).admits(None)
