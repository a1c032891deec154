"""`encoder finetune` for real, at small size: learnt, measured, exported, killed and gone on, refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import numpy as np
import orjson
import pyarrow
import pytest
from pyarrow import parquet
from search_plane.encoder import exporting
from search_plane.encoder.artefact import load_artefact
from search_plane.encoder.pooling import FloatArray
from search_plane.encoder.service import load
from search_plane.encoder.settings import Settings
from search_plane.finetuning import command
from search_plane.finetuning.files import file_rows
from search_plane.finetuning.report import FinetuneReport
from search_plane.finetuning.rows import Row, Skipped
from search_plane.finetuning.split import is_held_out
from sentence_transformers import SentenceTransformer

from sample_catalogue import click_log, generate
from tests.testbed.weights.bge import BGE_SMALL_ZH_V15
from tests.torch_lane.bge_model import bge_small_zh
from tests.torch_lane.small_models import HIDDEN, bert, xlm_roberta
from tests.torch_lane.test_export import served

pytestmark = pytest.mark.timeout(1200)

PRODUCTS = 500
TEMPLATE = "{brand} {title} {category}"
TEXTS = [
    "白菜价的蓝牙耳机",
    "Redmi USB-C 快充数据线 ５Ａ 2米装",
    "五常大米 5KG 东北香米 新米",
    "土豪专属的足浴盆",
]
KILL_SECONDS = 240.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with products.jsonl and clicks.jsonl of the sample catalogue."""
    folder = tmp_path_factory.mktemp("shop")
    products = list(generate(PRODUCTS, 5))
    (folder / "products.jsonl").write_bytes(
        b"".join(orjson.dumps(product.document()) + b"\n" for product in products)
    )
    write_rows(folder / "clicks.jsonl", list(click_log(products, queries=300)))
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of random weights as a sentence-transformers folder."""
    folder = tmp_path_factory.mktemp("small")
    bert(folder / "parts", "mean").save(str(folder / "model"))
    return folder / "model"


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def arguments(shop: Path, model: Path, out: Path, *more: str) -> list[str]:
    """Of a run over the sample shop on a model of one's own, whatever is not said in `more`."""
    return [
        "--model", "ours", "--from", str(model), "--revision", "2", "--licence", "none needed",
        "--source", "a test", "--pairs", str(shop / "clicks.jsonl"), "--products", str(shop / "products.jsonl"),
        "--out", str(out), "--held-out", "0.2", "--batch", "32", "--checkpoint-steps", "10", *more,
    ]  # fmt: skip


def report_of(out: Path) -> FinetuneReport:
    return FinetuneReport.model_validate_json(out.with_name(out.name + ".report.json").read_bytes())


def own_vectors(folder: Path, texts: list[str]) -> FloatArray:
    model = SentenceTransformer(str(folder), device="cpu")
    return np.asarray(model.encode(texts, normalize_embeddings=True), dtype=np.float32)


@pytest.fixture(scope="module")
def tuned(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact of the real bge-small-zh-v1.5, tuned on the shop's clicks for a few steps."""
    folder = tmp_path_factory.mktemp("tuned")
    bge_small_zh(folder / "parts").save(str(folder / "model"))
    given = arguments(shop, folder / "model", folder / "out", "--epochs", "1", "--learning-rate", "0.001")
    given[given.index("ours")] = "bge-small-zh-v1.5"
    assert command.main(given) == 0
    return folder / "out"


def test_the_model_read_back_from_onnx_is_the_published_one(tmp_path: Path) -> None:
    probes = json.loads(BGE_SMALL_ZH_V15.probes.read_bytes())
    model = bge_small_zh(tmp_path)
    model.save(str(tmp_path / "whole"))
    artefact = tmp_path / "artefact"
    exporting.export(
        model, BGE_SMALL_ZH_V15.model, revision="1", precision="fp32", source="a test", out=artefact
    )
    found = served(artefact, [probe["text"] for probe in probes])
    assert (found * np.asarray([probe["vector"] for probe in probes])).sum(axis=1).min() > 0.9999


def test_held_out_queries_find_more_of_what_was_clicked(tuned: Path) -> None:
    report = report_of(tuned)
    assert report.outcome == "exported"
    assert report.split.held_out_queries >= 40
    assert report.split.training_pairs_with_negatives > 0
    assert report.after["ndcg@10"] > report.before["ndcg@10"]
    assert report.rows.used == report.rows.read - sum(report.rows.skipped.values())
    assert tuned.with_name(tuned.name + ".report.svg").read_text().rstrip().endswith("</svg>")


def test_the_artefact_gives_the_merged_model_s_vectors_and_another_fingerprint(
    tuned: Path, tmp_path: Path
) -> None:
    report, model = report_of(tuned), BGE_SMALL_ZH_V15.model
    merged = own_vectors(tuned.with_name(tuned.name + ".work") / "merged", TEXTS)
    # The merged model's tokenizer holds the folded normaliser, so capitals and full-width forms agree too.
    assert (served(tuned, TEXTS) * merged).sum(axis=1).min() > 0.9999
    exporting.export(
        SentenceTransformer(str(tuned.with_name("model")), device="cpu"), model,
        revision="2", precision="fp32", source="a test", out=tmp_path / "untuned",
    )  # fmt: skip
    untuned = load_artefact(tmp_path / "untuned", None)
    assert (served(tmp_path / "untuned", TEXTS) * merged).sum(axis=1).min() < 0.999
    identities = [
        BGE_SMALL_ZH_V15.identity().model_copy(update={"revision": "2", "weights": pin})
        for pin in (report.pin, f"artefact:sha256:{untuned.digest}")
    ]
    assert identities[0].fingerprint() != identities[1].fingerprint()
    # The server takes the one and refuses to take it for the other.
    assert load(Settings(identities[0], tuned)).artefact.digest == report.pin.removeprefix("artefact:sha256:")
    with pytest.raises(Exception, match="not the weights that the identity pins"):
        load(Settings(identities[1], tuned))


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_where_it_would_have(
    shop: Path, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    more = ("--epochs", "1", "--learning-rate", "0.002", "--keep-anyway")
    assert command.main(arguments(shop, small, whole, *more)) == 0
    run = subprocess.Popen(
        [sys.executable, "-m", "search_plane", "encoder", "finetune", *arguments(shop, small, killed, *more)],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stderr is not None
    overdue = Timer(KILL_SECONDS, run.kill)
    overdue.start()
    lines = []
    for line in run.stderr:
        lines.append(line)
        if "checkpoint at step 10" in line:
            run.send_signal(signal.SIGKILL)
    overdue.cancel()
    assert run.wait(timeout=30) == -signal.SIGKILL, "".join(lines)
    assert any("checkpoint at step 10" in line for line in lines), "".join(lines)
    run.stderr.close()
    assert not killed.exists()
    assert command.main(arguments(shop, small, killed, *more)) == 0
    assert "going on from checkpoint-" in capfd.readouterr().err
    finished, uninterrupted = report_of(killed), report_of(whole)
    assert 10 <= finished.resumed_from_step < finished.steps == uninterrupted.steps
    assert uninterrupted.resumed_from_step == 0
    vectors = [own_vectors(out.with_name(out.name + ".work") / "merged", TEXTS) for out in (killed, whole)]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-4)
    # The training moved them further than that, so that the line above says something.
    assert np.abs(vectors[1] - own_vectors(small, TEXTS)).max() > 1e-2
    # Other settings would go on from weights that they had no part in.
    assert command.main(arguments(shop, small, killed, *more, "--seed", "8")) == 1
    assert "holds a job of another settings" in capfd.readouterr().err


def test_bad_rows_of_parquet_are_told_and_negatives_may_be_few_or_many(
    shop: Path, small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [row.click.model_dump() for row in file_rows(shop / "clicks.jsonl") if isinstance(row, Row)]
    for number, row in enumerate(rows):
        row["negative_ids"] = list(row["negative_ids"])[: number % 3]
    rows[3] |= {"product_id": "SP-gone"}
    rows[5] |= {"product_id": None}
    rows[7] |= {"query": "x" * 300}
    path = tmp_path / "clicks.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [row.place for row in file_rows(path) if isinstance(row, Skipped)] == ["clicks.parquet row 6"]
    given = arguments(shop, small, tmp_path / "out", "--negatives", "2", "--epochs", "1", "--keep-anyway")
    given[given.index("--pairs") + 1] = str(path)
    assert command.main(given) == 0
    told = capfd.readouterr().err
    for line in (
        "skipped clicks.parquet row 4: the product is not in the catalogue: SP-gone",
        "skipped clicks.parquet row 6: malformed: give product_id or product_text",
        "skipped clicks.parquet row 8: the gateway refuses the query",
    ):
        assert line in told
    report = report_of(tmp_path / "out")
    assert report.rows.read == len(rows)
    assert sum(report.rows.skipped.values()) == 3
    assert 0 < report.split.training_pairs_with_negatives < report.split.training_pairs


def test_a_model_that_got_worse_is_refused_and_nothing_exported(
    shop: Path, tuned: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tuned model, led astray by steps that are far too long."""
    rows = [json.loads(line) for line in (shop / "clicks.jsonl").read_bytes().splitlines()]
    learnt = [row for row in rows if not is_held_out(row["query"].lower(), 0.2)]
    judged = [row for row in rows if is_held_out(row["query"].lower(), 0.2)]
    write_rows(tmp_path / "clicks.jsonl", [*learnt[:96], *judged])
    model = tuned.with_name(tuned.name + ".work") / "merged"
    given = arguments(shop, model, tmp_path / "out", "--epochs", "1", "--learning-rate", "1")
    given[given.index("--pairs") + 1] = str(tmp_path / "clicks.jsonl")
    assert command.main(given) == 1
    told = capfd.readouterr()
    assert "so nothing was exported" in told.err.splitlines()[-1]
    assert not told.out
    assert not (tmp_path / "out").exists()
    report = report_of(tmp_path / "out")
    assert (report.outcome, report.pin) == ("refused", "")
    assert report.after["ndcg@10"] < report.before["ndcg@10"] - 0.1


def test_the_prefixes_of_a_model_are_learnt_with_and_judged_with(
    shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    xlm_roberta(tmp_path / "parts").save(str(tmp_path / "model"))
    seen: set[str] = set()
    tokenise = SentenceTransformer.preprocess

    def watched(
        self: SentenceTransformer, inputs: list[str], prompt: str | None = None, **more: object
    ) -> object:
        seen.update(f"{prompt}|{text}" for text in inputs)
        return tokenise(self, inputs, prompt=prompt, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentenceTransformer, "preprocess", watched)
        more = (
            "--query-prefix",
            "query: ",
            "--document-prefix",
            "passage: ",
            "--as-published",
            "--keep-anyway",
        )
        assert (
            command.main(arguments(shop, tmp_path / "model", tmp_path / "out", *more, "--epochs", "1")) == 0
        )
    asked = {json.loads(line)["query"] for line in (shop / "clicks.jsonl").read_bytes().splitlines()}
    for text in seen:
        prompt, _, rest = text.partition("|")
        assert prompt in ("query: ", "passage: ", "None"), text
        if prompt != "None":
            assert (prompt == "query: ") == (rest in asked), text
    # An epoch may leave out a few pairs: no batch holds the same query or product twice.
    assert len({f"query: |{query}" for query in asked} - seen) <= len(asked) / 20
    manifest = load_artefact(tmp_path / "out", None).manifest
    assert (manifest.dimension, manifest.revision) == (HIDDEN, "2")
