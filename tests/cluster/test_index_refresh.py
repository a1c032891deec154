"""A refresh embeds what changed and nothing else, and names what it left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sample_catalogue import DEFAULT_SEED, apply_changes, bad_documents, mutate
from tests.cluster.index_bed import CATALOGUE_PREFIX, Bed
from tests.cluster.index_bed import REFRESHED as NAME
from tests.cluster.index_bed import REFRESHED_PRODUCTS as PRODUCTS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def refresh(bed: Bed, job: str) -> dict[str, Any]:
    """Run the CronJob's Job by hand; what the status says of it once it has ended."""
    told = bed.index(NAME)["status"]["refresh"].get("last", {}).get("finishedAt", "")
    bed.k("create", "job", job, f"--from=cronjob/{NAME}-refresh")
    bed.k("wait", "--for=condition=Complete", f"job/{job}", "--timeout=180s", timeout=190)
    ended = bed.follow(
        NAME,
        lambda i: (
            i["status"]["refresh"].get("last", {}).get("finishedAt", "") > told
            and not i["status"]["refresh"]["running"]
        ),
        "the refresh to be told",
        30,
    )
    last: dict[str, Any] = ended["status"]["refresh"]["last"]
    return last


def ask_for_a_refresh(bed: Bed) -> dict[str, Any]:
    """Ask with the annotation; what the status says of the refresh once it has ended."""
    asked = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    bed.k("annotate", "ssi", NAME, "--overwrite", f"semanticsearch.io/refresh-requested-at={asked}")

    def served(index: dict[str, Any]) -> bool:
        told = index["status"]["refresh"]
        ended = told.get("last", {}).get("finishedAt", "") >= asked
        return told.get("servedRequest") == asked and ended and not told["running"]

    last: dict[str, Any] = bed.follow(NAME, served, "the refresh that was asked for", 120)["status"][
        "refresh"
    ]["last"]
    return last


def test_a_refresh_follows_the_catalogue(bed: Bed, refreshed: str) -> None:
    index = CATALOGUE_PREFIX + refreshed
    changes = list(
        mutate(
            DEFAULT_SEED, PRODUCTS, at=datetime(2026, 11, 20, tzinfo=UTC), repriced=3, retitled=2, deleted=1
        )
    )
    (bad,) = [document for document in bad_documents(DEFAULT_SEED) if document.kind == "all-text-empty"]
    with bed.elasticsearch() as client:
        apply_changes(client, index, [*changes, bad])

    last = refresh(bed, "refreshed-by-hand")

    assert (last["embedded"], last["deleted"], last["failed"]) == (2, 1, 1)
    # A new price is stored anew, with the vector that was there.
    assert (last["updated"], last["unchanged"]) == (3, PRODUCTS - 6)
    assert [skipped["id"] for skipped in last["skipped"]] == [bad.id]
    assert last["skipped"][0]["reason"]
    (collection,) = bed.collections(NAME)
    assert bed.ids_in_milvus(collection) == bed.ids_in_catalogue(CATALOGUE_PREFIX + NAME) - {bad.id}
    bed.await_ready(NAME)

    again = ask_for_a_refresh(bed)
    assert (again["embedded"], again["deleted"], again["failed"]) == (0, 0, 1)
    assert bed.index(NAME)["status"]["refresh"]["lastSuccess"]
