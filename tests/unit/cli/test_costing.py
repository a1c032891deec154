"""`cost` on recorded statuses and ledgers."""

import json
from pathlib import Path
from typing import Any

import pytest
from search_operator.money.ledger import Ledger, MonthAccount

from tests.unit.cli.conftest import Ssi
from tests.unit.cli.recorded_api import RecordedApi
from tests.unit.cli.recorded_indexes import recorded

Object = dict[str, Any]
HOUR = 3_600_000
USD = 1_000_000 * HOUR


def _serving(api: RecordedApi, currency: str = "USD", name: str = "products", **items: int) -> Object:
    """A recorded index with three months in its status, and a ledger of four."""
    index = recorded("serving")
    index["metadata"]["name"] = name
    index["status"]["cost"] |= {
        "spent": "2026.50",
        "projected": "3065.28",
        "months": [{"month": "2026-09", "spent": "2966.40"}, {"month": "2026-10", "spent": "5100.00"}],
    }
    months = {
        "2026-08": {"encoder": 1000 * USD},
        "2026-10": {"encoder": 3000 * USD, "milvus": 2100 * USD},
        "2026-11": items or {"encoder": 1026 * USD + USD // 2, "milvus": 1000 * USD},
    }
    accounts = tuple(MonthAccount(month=month, items=of) for month, of in months.items())
    ledger = Ledger(currency=currency, upto=0, months=accounts)
    api.config_maps["search", f"{name}-ledger"] = {"data": {"ledger.json": ledger.to_json()}}
    return api.add(index)


def test_the_month_by_item_its_projection_and_the_months_before(api: RecordedApi, ssi: Ssi) -> None:
    _serving(api)
    said = ssi("cost", "products")
    assert said.exit_code == 0, said.output
    rows = {line.split()[0]: line.split()[1:] for line in said.stdout.splitlines() if line.split()}
    assert rows["encoder"][:3] == ["1026.50", "51", "%"]
    assert rows["milvus"][:3] == ["1000.00", "49", "%"]
    assert rows["all"] == ["2026.50"]
    assert "projected 3065.28 of a cap of 5000.00 USD" in said.stdout
    # Months of the ledger, and one that only the status knows; the bars are on one scale.
    assert [rows[f"2026-{m}"][0] for m in ("08", "09", "10", "11")] == [
        "1000.00",
        "2966.40",
        "5100.00",
        "2026.50",
    ]
    assert rows["2026-10"][1].count("█") == 40
    assert rows["2026-10"][2:] == ["102", "%", "of", "the", "cap"]
    assert rows["2026-08"][1].count("█") == 8
    assert rows["2026-11"][1].count("█") == 16
    assert rows["2026-11"][1].count("▒") == 8


def test_json_has_amounts_as_text(api: RecordedApi, ssi: Ssi) -> None:
    _serving(api)
    told = json.loads(ssi("cost", "products", "-o", "json").stdout)
    assert told["money"]["projected"] == "3065.28"
    assert told["thisMonth"]["items"] == [
        {"item": "encoder", "spent": "1026.50"},
        {"item": "milvus", "spent": "1000.00"},
    ]
    assert [(m["month"], m["spent"], len(m["items"])) for m in told["past"]] == [
        ("2026-08", "1000.00", 1),
        ("2026-09", "2966.40", 0),
        ("2026-10", "5100.00", 2),
    ]


@pytest.mark.parametrize("fault", ["absent", "spoilt", "forbidden", "other currency"])
def test_without_the_ledger_the_sums_are_told_and_why(api: RecordedApi, ssi: Ssi, fault: str) -> None:
    _serving(api, currency="EUR" if fault == "other currency" else "USD")
    if fault == "absent":
        api.config_maps.clear()
    if fault == "spoilt":
        api.config_maps["search", "products-ledger"]["data"]["ledger.json"] = "{"
    if fault == "forbidden":
        api.refuse = {"/api/v1/namespaces/search/configmaps": 403}
    told = json.loads(ssi("cost", "products", "-o", "json").stdout)
    assert told["thisMonth"] == {"month": "2026-11", "spent": "2026.50", "items": []}
    assert [m["month"] for m in told["past"]] == ["2026-09", "2026-10"]
    why = {
        "absent": "is not there",
        "spoilt": "is not readable",
        "forbidden": "cannot list",
        "other currency": "the ledger is in EUR",
    }
    assert told["note"].startswith("by item nothing is known: ")
    assert why[fault] in told["note"]
    assert "by item nothing is known" in ssi("cost", "products").stdout


def test_all_indexes_are_summed_by_currency(api: RecordedApi, ssi: Ssi) -> None:
    _serving(api)
    _serving(api, name="shoes")
    yuan = _serving(api, name="toys")
    yuan["status"]["cost"] |= {"currency": "CNY", "spent": "10.05"}
    uncounted = _serving(api, name="void")
    del uncounted["status"]["cost"]
    rows = [line.split() for line in ssi("cost").stdout.splitlines()]
    assert rows[0] == ["NAME", "MONTH", "SPENT", "PROJECTED", "CAP", "CURRENCY", "ALLOWED"]
    assert rows[1] == ["products", "2026-11", "2026.50", "3065.28", "5000.00", "USD", "12"]
    assert rows[4] == ["void", *["-"] * 6]
    assert rows[5:] == [
        ["all", "10.05", "3065.28", "5000.00", "CNY"],
        ["all", "4053.00", "6130.56", "10000.00", "USD"],
    ]
    told = json.loads(ssi("cost", "-o", "json").stdout)
    assert [each["name"] for each in told] == ["products", "shoes", "toys", "void"]


def test_where_nobody_counts_it_says_what_to_give(api: RecordedApi, ssi: Ssi, tmp_path: Path) -> None:
    index = _serving(api)
    del index["status"]["cost"]
    for condition in index["status"]["conditions"]:
        if condition["type"] == "WithinBudget":
            condition.update(reason="NoPrices", message="give spec.cost.prices to see the bill")
    assert "give spec.cost.prices to see the bill" in ssi("cost", "products").stdout
    refused = ssi("cost", "products", "--png", str(tmp_path / "x.png"))
    assert refused.exit_code == 2
    assert "there is nothing to plot" in refused.stderr


def test_a_picture_of_the_months(api: RecordedApi, ssi: Ssi, tmp_path: Path) -> None:
    _serving(api)
    picture = tmp_path / "cost.png"
    assert ssi("cost", "products", "--png", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    nowhere = ssi("cost", "products", "--png", str(tmp_path / "absent" / "cost.png"))
    assert nowhere.exit_code == 2
    assert "can't be written: No such file" in nowhere.stderr
    assert "name it" in ssi("cost", "--png", str(picture)).stderr


def test_without_matplotlib_it_says_what_to_install(
    api: RecordedApi, ssi: Ssi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serving(api)
    monkeypatch.setitem(__import__("sys").modules, "search_operator.cli.spending_plot", None)
    result = ssi("cost", "products", "--png", str(tmp_path / "cost.png"))
    assert result.exit_code == 2
    assert "pip install 'semantic-search-operator[report]'" in result.stderr


def test_what_opencost_says_is_told(api: RecordedApi, ssi: Ssi) -> None:
    index = _serving(api)
    index["status"]["cost"]["openCost"] = {
        "spent": "1200.00",
        "ledger": "1026.50",
        "differencePercent": "16.9",
        "agrees": False,
    }
    said = ssi("cost", "products").stdout
    assert "OpenCost does not agree: 1200.00 where the ledger says 1026.50 (16.9 %)" in said
