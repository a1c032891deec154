"""Product ids to the texts that jobs embed, from a file of catalogue documents."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from search_plane.finetuning.files import json_lines
from search_plane.finetuning.rows import Skipped
from search_plane.jobs.rendering import Renderer, Unusable
from search_plane.release.stored import lookup


def file_texts(
    path: Path, renderer: Renderer, ids: Collection[str]
) -> tuple[dict[str, str | Unusable], list[Skipped]]:
    """Text of each wanted product of a file of JSON lines, rendered as jobs do, and the lines that are no product.

    The id is the document's field that the renderer calls id. Raises Refused where the file can't be read.
    """
    wanted = set(ids)
    texts: dict[str, str | Unusable] = {}
    skipped: list[Skipped] = []
    for place, document in json_lines(path):
        if isinstance(document, Skipped):
            skipped.append(document)
            continue
        found = lookup(document, renderer.id_field)
        if not isinstance(found, str):
            skipped.append(Skipped(place, "no product", f"{renderer.id_field}: expected a string"))
        elif found in wanted:
            # An id is a string only where the document is an object.
            made = renderer.render(found, cast(dict[str, Any], document))
            texts[found] = made if isinstance(made, Unusable) else made.text
    return texts, skipped
