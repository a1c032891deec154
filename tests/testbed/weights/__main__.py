"""Make the real artefact where it is missing and print where it is: `python -m tests.testbed.weights`."""

import sys

from tests.testbed.cluster.cache import TestbedError
from tests.testbed.weights.bge import bge_weights


def main() -> int:
    """Print the folder and the digest; 1 with one line on stderr when it cannot be made."""
    try:
        weights = bge_weights()
    except TestbedError as error:
        print(error, file=sys.stderr)
        return 1
    print(weights.path, f"artefact:sha256:{weights.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
