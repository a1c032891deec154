"""`python -m search_operator.api` prints the CRD; `... reference` prints the tables of docs/resource.md."""

import sys

from search_operator.api.crd import crd_yaml
from search_operator.api.reference import reference

sys.stdout.write(reference() if sys.argv[1:] == ["reference"] else crd_yaml())
