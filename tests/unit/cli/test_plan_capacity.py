"""What a plan says of capacity by part, of months with and without peaks, and of the guard."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from search_operator.api.index import SemanticSearchIndex
from search_operator.cli.main import cli
from search_operator.cli.months import MonthBill, months, telling
from search_operator.cli.parts import parts, totals
from search_operator.cli.planned_text import guard_says
from search_operator.money.tariff import amount

from tests.unit.operator_core.builders import index, sample

NOVEMBER = datetime(2026, 11, 5, tzinfo=UTC)
GIB = 2**30


def _months(**spec: Any) -> dict[str, MonthBill]:
    return {each.month: each for each in months(index("production", **spec).spec, NOVEMBER)}


def test_the_use_cases_months_with_and_without_peaks() -> None:
    """4 T4 and 4 Milvus nodes, up to 12 T4: 720 and 744 hours, as docs/cost.md has them."""
    found = _months()
    assert next(iter(found)) == "2026-11"
    assert len(found) == 12
    november, december = found["2026-11"], found["2026-12"]
    assert (november.hours, december.hours) == (720, 744)
    assert (amount(november.no_peaks), amount(november.at_maximum)) == ("2966.40", "4982.40")
    assert (amount(december.no_peaks), amount(december.at_maximum)) == ("3065.28", "5148.48")
    # Eight more encoders for 32 hours and five minutes before them.
    assert amount(november.with_windows) == "3056.23"
    assert (november.windows, december.windows) == (("double-11",), ())
    assert december.with_windows == december.no_peaks
    assert (november.allowed, december.allowed) == (12, 11)


def test_the_guard_gives_the_twelfth_back_after_55_hours_of_the_fewest() -> None:
    december = _months()["2026-12"]
    assert december.raised_at is not None
    month_begins = datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert (december.raised_at - month_begins).total_seconds() == 55 * 3600
    assert "allows 11 of 12 encoders at first, 12 from 2026-12-02T23:00:00Z" in guard_says(december)
    assert guard_says(_months()["2026-11"]) == "nothing: under the cap also with 12 encoders all month"


def test_a_tight_cap_gives_up_rebuilds_and_rerankers_first() -> None:
    weights = {"image": f"registry.example/r@sha256:{'d' * 64}"}
    tight = _months(
        cost={"monthlyCap": "3500"},
        refresh={"mode": "Full"},
        search={"reranker": {"enabled": True, "weights": weights}},
    )["2026-12"]
    assert tight.given_up == ("FullRebuild", "Reranker")
    assert guard_says(tight).startswith("gives up FullRebuild, Reranker first when the load asks for 12; ")


def test_a_guard_that_only_tells_and_a_cap_that_is_too_low() -> None:
    alert = _months(cost={"action": "Alert"})
    assert (
        "it only tells (cost.action Alert): at maxReplicas the cap is reached on 2026-12-30T18:32:36Z"
        in guard_says(alert["2026-12"])
    )
    assert "at maxReplicas nothing is reached" in guard_says(alert["2026-11"])
    hopeless = replace(_months()["2026-12"], cap=1)
    assert "even the fewest encoders cross the cap" in guard_says(hopeless)


def test_months_with_windows_and_the_dearest_are_told() -> None:
    twice = [
        {"name": "618", "start": "0 18 17 6 *", "duration": "32h", "replicas": 12},
        {"name": "double-11", "start": "0 18 10 11 *", "duration": "32h", "replicas": 12},
    ]
    found = tuple(_months(encoder={"autoscaling": {"prewarm": twice}}).values())
    assert [each.month for each in telling(found)] == ["2026-11", "2026-12", "2027-06"]
    assert months(index("production", cost=None).spec, NOVEMBER) == ()


def test_each_part_with_what_it_reserves() -> None:
    found = {part.name: part for part in parts(index("production"), 11)}
    assert list(found) == ["encoder", "gateway", "build worker"]
    encoder = found["encoder"]
    assert (encoder.fewest, encoder.most, encoder.cpu, encoder.memory, encoder.devices) == (
        4,
        12,
        2000,
        4 * GIB,
        1,
    )
    assert encoder.note == "the guard allows 11 at first"
    assert (found["gateway"].fewest, found["gateway"].cpu) == (3, 500)
    every = list(found.values())
    assert totals(every, most=False).devices == 4
    # 12 encoders, 3 gateways, 4 workers.
    assert totals(every, most=True).cpu == 24_000 + 1_500 + 1_000
    assert totals(every, most=True).memory == (48 * 1024 + 3 * 256 + 4 * 256) * 2**20


def test_limits_count_where_nothing_is_requested() -> None:
    limited = index("production", encoder={"resources": {"requests": None, "limits": {"cpu": "1500m"}}})
    assert parts(limited, 12)[0].cpu == 1500


def _plan(tmp_path: Path, *options: str, new: Any = None, old: Any = None) -> Result:
    files = {"new": new or sample("production"), "old": old or sample("production")}
    for name, body in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(body))
    given = ["-f", str(tmp_path / "new.yaml"), "--current", str(tmp_path / "old.yaml"), *options]
    return CliRunner().invoke(cli, ["plan", *given])


def test_the_text_has_parts_months_and_the_guard(tmp_path: Path) -> None:
    said = _plan(tmp_path).stdout
    for line in (
        "  encoder       4 to 12  8 to 24      16.0Gi to 48.0Gi  4 to 12",
        "  Milvus holds about 7.1Gi for each 1,000,000 rows in 2 replicas",
        "what the guard would do",
    ):
        assert line in said
    with_rows = sample("production") | {
        "status": {
            "activeRelease": "r-bd4de74d",
            "releases": [{"name": "r-bd4de74d", "role": "Active", "rows": 10**7}],
        }
    }
    assert "about 71.4Gi for its 10,000,000 rows" in _plan(tmp_path, old=with_rows).stdout


def test_the_diff_leaves_out_what_is_default(tmp_path: Path) -> None:
    written = sample("production", encoder={"autoscaling": {"minReplicas": 4, "maxReplicas": 12}})
    same = _plan(tmp_path, "--diff", old=written)
    assert (same.exit_code, "---" in same.stdout) == (0, False)
    changed = sample("production", encoder={"autoscaling": {"maxReplicas": 8}})
    said = _plan(tmp_path, "--diff", new=changed).stdout.splitlines()
    start = said.index("--- live search/products")
    assert said[start + 1] == f"+++ {tmp_path / 'new.yaml'}"
    assert [line for line in said[start + 2 :] if line[0] in "+-"] == ["+      maxReplicas: 8"]


def test_json_has_all_of_it(tmp_path: Path) -> None:
    changed = sample("production", encoder={"precision": "int8"})
    said = _plan(tmp_path, "-o", "json", "--diff", new=changed)
    assert said.exit_code == 1
    told = json.loads(said.stdout)
    assert told["kind"] == "NEW_RELEASE"
    assert [(c["path"], c["effect"]) for c in told["changes"]] == [("spec.encoder.precision", "NewRelease")]
    assert [step["stage"] for step in told["steps"]][:2] == ["Pending", "Provisioning"]
    assert {part["name"]: part["most"] for part in told["parts"]}["encoder"] == 12
    assert len(told["months"]) == 12
    assert told["bill"]["cap"] == "5000.00"
    assert "+    precision: int8" in told["diff"].splitlines() or "+  precision: int8" in told["diff"]


@pytest.mark.parametrize("body", [sample("production"), sample("products")])
def test_several_indexes_are_a_list_and_one_is_not(tmp_path: Path, body: Any) -> None:
    assert json.loads(_plan(tmp_path, "-o", "json", new=body).stdout)["name"] == "products"
    second = sample("production")
    second["metadata"]["name"] = "shoes"
    (tmp_path / "both.yaml").write_text(yaml.safe_dump_all([body, second]))
    both = ["plan", "-f", str(tmp_path / "both.yaml"), "--current", str(tmp_path / "old.yaml"), "-o", "json"]
    told = json.loads(CliRunner().invoke(cli, both).stdout)
    assert [each["name"] for each in told] == ["products", "shoes"]
    assert SemanticSearchIndex.parse(body).name == "products"
