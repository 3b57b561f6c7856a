"""`procman init` as an entry point calls it, from this source tree; `python procman_init.py [options] COMMAND…`."""

import sys

sys.path.insert(0, __file__.rsplit("/", 3)[0])  # this tree, not one that is installed

from procman.cli.init import main

sys.exit(main(sys.argv[1:]))
