"""`simulate` as people call it: table, JSON, picture, and clear errors."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from search_operator.cli.main import cli

from tests.cluster.resource_base import at, changed, valid_index

DOUBLE_11 = "time,queries_per_second\n" + "".join(
    f"2026-11-10T{hour:02}:00:00+08:00,{9000 if hour >= 20 else 3000}\n" for hour in range(16, 24)
)


def call(tmp_path: Path, *arguments: str, trace: str = DOUBLE_11) -> Result:
    file = tmp_path / "trace.csv"
    file.write_text(trace, encoding="utf-8")
    return CliRunner().invoke(cli, ["simulate", "--trace", str(file), *arguments])


def test_a_table_with_a_line_for_each_month_and_what_is_lost(tmp_path: Path) -> None:
    result = call(tmp_path)
    assert result.exit_code == 0, result.output
    head, month, _, lost, spent, _ = result.output.splitlines()
    assert head.split()[:3] == ["month", "q/s", "encoders"]
    assert month.split()[:5] == ["2026-11", "9000", "4", "to", "12"]
    assert lost.endswith("0.00 (0.00 for the guard, 0.00 for maxReplicas, 0.00 while encoders started)")
    assert "no month above the cap of 5000.00" in spent
    assert " while encoders started)" in call(tmp_path, "--no-prewarm").output
    assert "0.00 while encoders started" not in call(tmp_path, "--no-prewarm").output


def test_json_has_every_hour_and_a_picture_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "year.png"
    result = call(tmp_path, "--json", "--png", str(picture))
    said = json.loads(result.output)
    assert (said["currency"], said["cap"], len(said["hours"]), len(said["months"])) == (
        "USD",
        "5000.00",
        8,
        1,
    )
    assert said["hours"][4]["time"] == "2026-11-10T12:00:00Z"
    assert [hour["encoders"] for hour in said["hours"]] == [4, 12, 12, 12, 12, 12, 12, 12]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_resource_says_how_many_run_and_what_they_cost(tmp_path: Path) -> None:
    resource = tmp_path / "products.yaml"
    few = changed(
        valid_index(), at("spec.encoder.autoscaling", {"minReplicas": 2, "maxReplicas": 5, "prewarm": []})
    )
    resource.write_text(yaml.safe_dump(few), encoding="utf-8")
    months = json.loads(call(tmp_path, "-f", str(resource), "--json").output)["months"]
    # 3,000 queries a second keep two full, so that there are three within the first minute.
    assert months[0]["encoders"] == [3, 5]
    assert months[0]["lostMinutes"]["maximum"] > 200
    free = changed(few, at("spec.cost", None))
    resource.write_text(yaml.safe_dump(free), encoding="utf-8")
    assert json.loads(call(tmp_path, "-f", str(resource), "--json").output)["months"][0]["spent"] is None
    assert "--cap needs prices" in call(tmp_path, "-f", str(resource), "--cap", "3000").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cap", "much"], "--cap 'much' is no amount; write e.g. 5000"),
        (["--start", "soon"], "'soon' is no duration"),
        (["--year", "99"], "2000<=x<=2100"),
        (["-f", "absent.yaml"], "No such file"),
    ],
)
def test_what_can_not_be_simulated_is_said(tmp_path: Path, arguments: list[str], says: str) -> None:
    result = call(tmp_path, *arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_a_bad_trace_names_its_line(tmp_path: Path) -> None:
    result = call(tmp_path, trace="time,queries_per_second\nnow,1\n")
    assert (result.exit_code, result.output.startswith("Error: line 2: ")) == (2, True)


def test_the_built_in_year_can_be_written_to_be_edited(tmp_path: Path) -> None:
    file = tmp_path / "year.csv"
    result = CliRunner().invoke(cli, ["simulate", "--year", "2028", "--write-trace", str(file)])
    assert result.exit_code == 0
    assert len(file.read_text().splitlines()) == 366 * 24 + 1


def test_help_shows_examples() -> None:
    assert "kubectl ssi simulate --cap" in CliRunner().invoke(cli, ["simulate", "--help"]).output
