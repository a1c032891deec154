"""`python -m search_operator`: run the operator."""

import sys

from search_operator.run.main import main

sys.exit(main())
