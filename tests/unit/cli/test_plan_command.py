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


def _plan(tmp_path: Path, *new: Json, current: tuple[Json, ...] = (valid_index(),)) -> Result:
    (tmp_path / "new.yaml").write_text(yaml.safe_dump_all(new))
    (tmp_path / "old.yaml").write_text(yaml.safe_dump_all(current))
    files = ["-f", str(tmp_path / "new.yaml"), "--current", str(tmp_path / "old.yaml")]
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
