"""The image's command: `encoder`, `reranker`, `gateway`, `job build|catchup|refresh|verify`; with torch
`encoder export`, `encoder export-reranker` and `encoder finetune`; with scipy `experiment report` and `listening report`.

Each part is imported only when it runs.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

# Each reads its own arguments.
_TOOLS = {
    "export": "search_plane.encoder.exporting",
    "export-reranker": "search_plane.reranker.exporting",
    "finetune": "search_plane.finetuning.command",
}
_REPORTS = {
    "experiment": "search_plane.listening.experiment_command",
    "listening": "search_plane.listening.listening_command",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part of the data plane; returns its exit code."""
    parser = argparse.ArgumentParser(prog="search_plane", description="The data plane of one search index.")
    parts = parser.add_subparsers(dest="part", required=True)
    encoder = parts.add_parser(
        "encoder", help="serve vectors of one encoder identity; export or fine-tune a model for it"
    )
    encoder.add_argument("action", nargs="?", choices=["serve", *_TOOLS], default="serve")
    parts.add_parser("reranker", help="serve a cross-encoder alone, without an encoder beside it")
    parts.add_parser("gateway", help="serve the search API")
    job = parts.add_parser("job", help="fill, refresh or measure the collection of a release")
    job.add_argument("kind", choices=["build", "catchup", "refresh", "verify"])
    parts.add_parser("experiment", help="compare the arms of an experiment by the search log")
    parts.add_parser("listening", help="tell from the search log which queries find too little")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["encoder"] and len(given) > 1 and given[1] in _TOOLS:
        return int(import_module(_TOOLS[given[1]]).main(given[2:]))
    if given and given[0] in _REPORTS:
        return int(import_module(_REPORTS[given[0]]).main(given[1:]))
    chosen = parser.parse_args(given)
    if chosen.part == "job" and chosen.kind == "verify":
        return int(import_module("search_plane.jobs.verify_command").main())
    if chosen.part == "job":
        return int(import_module("search_plane.jobs.sync_command").main(chosen.kind))
    return int(import_module(f"search_plane.{chosen.part}.server").main())


if __name__ == "__main__":
    sys.exit(main())
