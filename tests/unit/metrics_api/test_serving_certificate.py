"""When a serving certificate is due, and that callers who know the bundle accept the old and the new one."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from search_operator.metrics_api.certificate import (
    LASTS,
    RENEWED_BEFORE,
    ServingCertificate,
    certificate_in,
    due,
    renewed,
    secret_data,
)

HOST = "semantic-search-operator-metrics.semantic-search-system.svc"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def held() -> ServingCertificate:
    return renewed(None, HOST, NOW)


def authorities(held: ServingCertificate) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(held.authorities.encode())


def test_none_is_due_at_once() -> None:
    assert due(None, HOST, NOW)


def test_one_is_good_until_a_month_before_its_end(held: ServingCertificate) -> None:
    assert held.ends == NOW + LASTS
    assert due(held, HOST, NOW) == ""
    renews = NOW + LASTS - RENEWED_BEFORE
    assert due(held, HOST, renews) == ""
    assert "ends at" in due(held, HOST, renews + SECOND)


def test_another_namespace_needs_another(held: ServingCertificate) -> None:
    assert "not for semantic-search-operator-metrics.elsewhere.svc" in due(
        held, "semantic-search-operator-metrics.elsewhere.svc", NOW
    )


def test_a_spoilt_secret_is_replaced(held: ServingCertificate) -> None:
    other = renewed(None, HOST, NOW)
    assert "can't be read" in due(replace(held, key="nothing"), HOST, NOW)
    assert "can't be read" in due(replace(held, certificate="nothing"), HOST, NOW)
    assert "another certificate's" in due(replace(held, key=other.key), HOST, NOW)
    assert "not issued by" in due(replace(held, authorities=other.authorities), HOST, NOW)
    assert due(renewed(replace(held, authorities="nothing"), HOST, NOW), HOST, NOW) == ""


def test_the_old_authority_stays_until_it_ends(held: ServingCertificate) -> None:
    later = NOW + LASTS - RENEWED_BEFORE + SECOND
    second = renewed(held, HOST, later)
    assert [each.not_valid_after_utc for each in authorities(second)] == [later + LASTS, NOW + LASTS]
    assert due(second, HOST, later) == ""
    # What another replica still shows is known by the new bundle.
    assert due(replace(held, authorities=second.authorities), HOST, NOW) == ""
    third = renewed(second, HOST, later + LASTS - RENEWED_BEFORE + SECOND)
    assert len(authorities(third)) == 2


def test_it_goes_through_a_secret(held: ServingCertificate) -> None:
    data = secret_data(held)
    assert certificate_in({"data": data}) == held
    assert certificate_in(None) is None
    assert certificate_in({"data": {k: v for k, v in data.items() if k != "tls.key"}}) is None
    assert certificate_in({"data": data | {"tls.key": "%%%"}}) is None
    assert certificate_in({"data": data | {"tls.key": base64.b64encode(b"\xff").decode()}}) is None


def test_the_key_is_in_no_text(held: ServingCertificate) -> None:
    assert "PRIVATE KEY" in held.key
    assert "PRIVATE KEY" not in f"{held} {held!r}"
