"""Make the real artefacts where they are missing and print where they are: `python -m tests.testbed.weights`."""

import sys

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.weights.bge import PUBLISHED


def main() -> int:
    """Print each folder and digest; 1 with one line on stderr when one cannot be made."""
    for published in PUBLISHED.values():
        try:
            weights = published.artefact()
        except TestbedError as error:
            print(error, file=sys.stderr)
            return 1
        print(weights.path, f"artefact:sha256:{weights.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
