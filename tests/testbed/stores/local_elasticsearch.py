"""A real Elasticsearch as a process on a free loopback port."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import httpx

from tests.testbed.cluster.toolchain import Progress
from tests.testbed.stores.programs import ELASTICSEARCH_RECIPE, elasticsearch_jars, java, silent
from tests.testbed.stores.server_process import ServerProcess

START_SECONDS = 90.0


class LocalElasticsearch:
    """Elasticsearch 8.19 on loopback; data in a temporary folder that ``stop`` deletes.

    >>> with LocalElasticsearch() as server:
    ...     Elasticsearch(server.url)
    """

    def __init__(self, progress: Progress = silent) -> None:
        self._progress = progress
        self._home: Path | None = None
        self._port = 0
        self.process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``; the port stays over ``kill`` and ``start``."""
        assert self._port, "not started"
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> str:
        """Start (or start again on the same data and port after ``kill``), wait for green, return the URL.

        Raises TestbedError with the server's last words after 90 s.
        """
        assert self.process is None, "already started"
        command_java, jars = java(), elasticsearch_jars(self._progress)
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="test-elasticsearch-"))
            (self._home / "tmp").mkdir()
        ports = self._home / "logs" / "http.ports"
        ports.unlink(missing_ok=True)
        temporary = [f"-Djava.io.tmpdir={self._home / 'tmp'}", f"-Djna.tmpdir={self._home / 'tmp'}"]
        launcher = ["-cp", f"{jars}/*", "testnode.TestNode", self._home]
        self.process = ServerProcess(
            "Elasticsearch",
            [
                command_java,
                f"@{ELASTICSEARCH_RECIPE / 'jvm.options'}",
                *temporary,
                *launcher,
                f"http.port={self._port}",
            ],
            home=self._home,
        )

        def ready() -> bool:
            if not ports.is_file() or not (lines := ports.read_text().split()):
                return False
            self._port = int(lines[0].rpartition(":")[2])
            return is_green(self.url)

        try:
            self.process.await_ready(ready, timeout=START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self.url

    def kill(self) -> None:
        """End it without warning, keeping its data; ``start`` brings it back on the same port."""
        assert self.process is not None, "not started"
        self.process.kill()
        self.process = None

    def stop(self) -> None:
        """End it and delete its data; does nothing when it is stopped already."""
        if self.process is not None:
            # The data go, so there is nothing to save.
            self.process.kill()
            self.process = None
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None
        self._port = 0

    def __enter__(self) -> LocalElasticsearch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def is_green(url: str) -> bool:
    """Whether the cluster behind ``url`` answers and all its shards are assigned."""
    try:
        answer = httpx.get(
            f"{url}/_cluster/health",
            params={"wait_for_status": "green", "timeout": "1s"},
            timeout=5,
            trust_env=False,
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json().get("status") == "green"
