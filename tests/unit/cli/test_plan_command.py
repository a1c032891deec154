"""The command line: files in, a plan and an exit code out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from search_operator.cli.main import cli

from tests.cluster.resource_base import Json, at, changed, valid_index

REPOSITORY = Path(__file__).resolve().parents[3]
EF = at("spec.vectorStore.milvus.search.ef", 256)
FP32 = at("spec.encoder.precision", "fp32")


SHARED = at("spec.cost", {"prices": None, "pricesConfigMapRef": {"name": "prices"}})
PRICES = """asOf: 2026-11-01
currency: USD
encoderNodeHour: 0.35
milvusNodes: {count: 4, nodeHour: 0.68}
"""


def _plan(
    tmp_path: Path,
    *new: Json,
    current: tuple[Json, ...] = (valid_index(),),
    prices: str | bytes | None = None,
) -> Result:
    (tmp_path / "new.yaml").write_text(yaml.safe_dump_all(new))
    (tmp_path / "old.yaml").write_text(yaml.safe_dump_all(current))
    files = ["-f", str(tmp_path / "new.yaml"), "--current", str(tmp_path / "old.yaml")]
    if prices is not None:
        (tmp_path / "prices.yaml").write_bytes(prices.encode() if isinstance(prices, str) else prices)
        files += ["--prices", str(tmp_path / "prices.yaml")]
    return CliRunner().invoke(cli, ["plan", *files])


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({}, 0, "search/products: nothing changes"),
        (EF, 0, "applied in place, no release starts"),
        (FP32, 1, "a new release is built and takes over"),
        (at("spec.vectorStore.milvus.database", "other"), 2, "create another index"),
        (at("spec.slo", {"p95": "100ms"}), 2, "not served by this version"),
    ],
)
def test_the_exit_code_tells_whether_another_release_answers(
    tmp_path: Path, change: Json, code: int, says: str
) -> None:
    result = _plan(tmp_path, changed(valid_index(), change))
    assert result.exit_code == code, result.output
    assert says in result.output


def test_one_line_per_change(tmp_path: Path) -> None:
    said = _plan(tmp_path, changed(changed(valid_index(), EF), FP32)).output
    assert 'release            spec.encoder.precision: "fp16" -> "fp32"' in said
    assert "in place           spec.vectorStore.milvus.search.ef: 128 -> 256" in said


def test_an_index_that_is_not_there_yet_gets_its_first_release(tmp_path: Path) -> None:
    result = _plan(tmp_path, valid_index("another"))
    assert result.exit_code == 1
    assert "search/another: the first release is built" in result.output


def test_every_index_of_the_file_is_told_and_other_kinds_are_left_out(tmp_path: Path) -> None:
    config_map: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "judged"}}
    result = _plan(tmp_path, config_map, valid_index(), changed(valid_index("shoes"), FP32))
    assert "search/products: nothing" in result.output
    assert "search/shoes: the first release" in result.output


def test_a_list_as_kubectl_prints_it_is_read(tmp_path: Path) -> None:
    listed: Json = {"apiVersion": "v1", "kind": "List", "items": [valid_index()]}
    assert _plan(tmp_path, valid_index(), current=(listed,)).exit_code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: [", "is no YAML"),
        ("kind: ConfigMap", "holds no SemanticSearchIndex"),
        ("", "holds no SemanticSearchIndex"),
        ("kind: SemanticSearchIndex\nspec: {}", "spec.encoder: Field required"),
    ],
)
def test_what_can_not_be_read_is_an_error_with_its_cause(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "new.yaml").write_text(text)
    result = CliRunner().invoke(
        cli, ["plan", "-f", str(tmp_path / "new.yaml"), "--current", "-"], input=_base()
    )
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(
    "text",
    [PRICES, yaml.safe_dump({"kind": "ConfigMap", "data": {"prices.yaml": PRICES}})],
    ids=["bare", "manifest"],
)
def test_shared_prices_from_a_file_make_the_bill_that_own_prices_make(tmp_path: Path, text: str) -> None:
    own = _plan(tmp_path, valid_index())
    shared = _plan(tmp_path, changed(valid_index(), SHARED), prices=text)
    bill = own.output.partition("\ncost in USD")[2]
    assert "fewest encoders    4.12 an hour" in bill
    assert shared.output.partition("\ncost in USD")[2] == bill
    assert "no bill" not in shared.output


def test_without_a_file_or_a_cluster_the_prices_are_asked_for(tmp_path: Path) -> None:
    told = _plan(tmp_path, changed(valid_index(), SHARED))
    assert told.exit_code == 0
    said = " ".join(told.output.split())
    assert (
        "no bill is told: prices are in ConfigMap prices: no cluster was asked; give them with --prices FILE"
        in said
    )
    assert "cost in USD" not in told.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "prices.yaml, all of it"),
        ("kind: [", "prices.yaml is no YAML"),
        (b"\xff\xfe\x00", "--prices is no UTF-8 text"),
        (PRICES.replace("USD", "CNY"), "currency is CNY, but spec.cost.currency is USD"),
        (PRICES.replace("0.35", "cheap"), "encoderNodeHour is 'cheap'"),
        ("kind: ConfigMap\nmetadata: {name: prices}\n", "it has no key prices.yaml"),
        ("kind: ConfigMap\ndata: [a]\n", "it has no key prices.yaml"),
        ("kind: ConfigMap\ndata: {prices.yaml: {asOf: 5}}\n", "is no text"),
    ],
)
def test_a_bad_prices_file_is_an_error_with_its_cause(tmp_path: Path, text: str | bytes, says: str) -> None:
    told = _plan(tmp_path, changed(valid_index(), SHARED), prices=text)
    assert told.exit_code == 2, told.output
    assert says in told.stderr
    assert told.stderr.startswith("Error: --prices")


def test_prices_that_nobody_asks_for_are_an_error(tmp_path: Path) -> None:
    told = _plan(tmp_path, valid_index(), prices=PRICES)
    assert told.exit_code == 2
    assert "which products does not name; leave out --prices" in told.stderr


def test_current_and_a_cluster_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(_base())
    files = ["-f", str(tmp_path / "new.yaml"), "--current", str(tmp_path / "new.yaml")]
    result = CliRunner().invoke(cli, ["plan", *files, "--context", "production"])
    assert result.exit_code == 2
    assert "--current asks no cluster" in result.stderr


def test_without_a_cluster_it_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/nowhere")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (tmp_path / "new.yaml").write_text(_base())
    result = CliRunner().invoke(cli, ["plan", "-f", str(tmp_path / "new.yaml")])
    assert result.exit_code == 2
    assert "give a kubeconfig, or for a plan --current" in result.stderr


def test_the_module_runs_the_command_and_without_one_the_operator(tmp_path: Path) -> None:
    """As in the image: `python3 -m search_operator plan`; alone it is the operator, which needs its settings."""
    new = tmp_path / "new.yaml"
    new.write_text(_base())
    start = [sys.executable, "-m", "search_operator"]
    path = os.pathsep.join(str(REPOSITORY / part) for part in ("operator", "encoder_image"))
    env = {"PYTHONPATH": path, "PATH": os.environ["PATH"]}
    told = subprocess.run(
        [*start, "plan", "-f", str(new), "--current", "-"],
        input=_base(),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.returncode, told.stdout.splitlines()[0]) == (0, "search/products: nothing changes")
    assert "it was not asked" in told.stderr
    operator = subprocess.run(start, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert operator.returncode == 2
    assert "is not set" in operator.stderr


def _base() -> str:
    return yaml.safe_dump(valid_index())
