"""`python -m search_operator.api` prints the CRD, `... reference` the reference in docs/resource.md."""

import sys

from search_operator.api.crd import crd_yaml

sys.stdout.write(crd_yaml())
