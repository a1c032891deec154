"""`python -m search_operator.api > crds/semanticsearchindexes.yaml` prints the CRD; `... reference` the field table."""

import sys

from search_operator.api.crd import crd_yaml

sys.stdout.write(crd_yaml())
