"""An artefact on disk together with an identity that pins it."""

from dataclasses import dataclass
from pathlib import Path

from search_plane.encoder.artefact import DIGEST_PREFIX
from search_plane.release.identity import EncoderIdentity


@dataclass(frozen=True)
class WeightsFolder:
    """What an encoder needs: `path` is its MODEL_DIR, `identity` its ENCODER_IDENTITY."""

    path: Path
    identity: EncoderIdentity

    @property
    def digest(self) -> str:
        """Hex sha256 of manifest.json."""
        return self.identity.weights.removeprefix(DIGEST_PREFIX)
