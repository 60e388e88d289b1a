"""`python -m controller_ext.cli` is `dataflower`, where no script was installed."""

import sys

from controller_ext.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
