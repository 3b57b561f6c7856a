"""`python -m procman`."""

import sys

from procman.cli.entry import main

sys.exit(main())
