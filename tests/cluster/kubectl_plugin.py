"""kubectl with the plugin on its PATH, as a user has it."""

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
WITHIN = 60.0
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Plugin:
    """A kubectl that finds `kubectl-ssi`."""

    kubectl: Path
    environment: dict[str, str]

    @classmethod
    def install(cls, folder: Path, kubectl: Path, kubeconfig: Path) -> "Plugin":
        """Into `folder` as pip would, from pyproject's own words."""
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for name, target in project["scripts"].items():
            module, function = target.split(":")
            script = folder / name
            start = (
                f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
            )
            script.write_text(start, encoding="utf-8")
            script.chmod(0o755)
        paths = os.pathsep.join(str(REPOSITORY / part) for part in ("operator", "encoder_image"))
        environment = {
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": paths,
        }
        return cls(kubectl, environment)

    def ssi(self, *arguments: str, stdin: str | None = None, **more: str) -> Done:
        """`kubectl ssi` with these arguments; `more` environment."""
        return self.run("ssi", *arguments, stdin=stdin, **more)

    def run(self, *arguments: str, stdin: str | None = None, **more: str) -> Done:
        """kubectl with these arguments."""
        return subprocess.run(
            [str(self.kubectl), *arguments],
            env=self.environment | more,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
