"""Click rows from a file: JSON lines, or Parquet where pyarrow is installed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from search_plane.finetuning.rows import Refused, Row, Rows, Skipped, checked

# Rows that are held at once while a Parquet file is read.
_PARQUET_ROWS = 4096


def file_rows(path: Path) -> Rows:
    """The rows of a .jsonl or .parquet file. Raises Refused for another ending or a file that can't be read."""
    readers: dict[str, Callable[[Path], Rows]] = {".jsonl": jsonl_rows, ".parquet": parquet_rows}
    reader = readers.get(path.suffix)
    if reader is None:
        raise Refused(f"{path}: expected a file that ends in {' or '.join(readers)}")
    return reader(path)


def jsonl_rows(path: Path) -> Rows:
    """One JSON object a line; blank lines are no rows. Raises Refused where the file can't be read."""
    for place, value in json_lines(path):
        yield value if isinstance(value, Skipped) else checked(place, value)


def json_lines(path: Path) -> Iterator[tuple[str, object]]:
    """(place, value) of each line that is not blank; the value is a Skipped where the line is not JSON."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                place = f"{path.name} line {number}"
                try:
                    yield place, orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    yield place, Skipped(place, "not JSON", str(error))
    except OSError as error:
        raise Refused(f"{path}: can't be read: {error.strerror or error}") from error


def parquet_rows(path: Path) -> Iterator[Row | Skipped]:
    """One row of the table each, columns named as ClickRow's fields; rows are counted from 1.

    Raises Refused where the file can't be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise Refused(f"{path}: Parquet needs pyarrow: install the finetune extra, or give .jsonl") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
                for raw in batch.to_pylist():
                    number += 1
                    yield checked(f"{path.name} row {number}", raw)
    except (OSError, ArrowException) as error:
        raise Refused(f"{path}: can't be read: {str(error).splitlines()[0]}") from error
