"""`python -m search_operator` runs the operator; with a command, such as `plan`, that command."""

import sys

if sys.argv[1:]:
    from search_operator.cli.main import run

    run(sys.argv[1:])
else:
    from search_operator.run.main import main

    sys.exit(main())
