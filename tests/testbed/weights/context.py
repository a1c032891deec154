"""The build context of an image that holds nothing but an artefact, to be mounted as an image volume."""

import os
import shutil
from pathlib import Path

import orjson
from search_plane.encoder.artefact import MANIFEST_FILE


def weights_context(artefact: Path, destination: Path) -> Path:
    """Fill `destination` with a Dockerfile (FROM scratch) and the artefact's files, linked if possible.

    Returns `destination`. The files lie at the image's root, readable by any user.
    """
    names = [MANIFEST_FILE, *sorted(orjson.loads((artefact / MANIFEST_FILE).read_bytes())["files"])]
    destination.mkdir(parents=True, exist_ok=True)
    for name in names:
        target = destination / name
        target.unlink(missing_ok=True)
        try:
            os.link(artefact / name, target)
        except OSError:
            shutil.copyfile(artefact / name, target)
        target.chmod(0o644)
    (destination / "Dockerfile").write_text(f"FROM scratch\nCOPY {' '.join(names)} /\n")
    return destination
