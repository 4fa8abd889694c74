"""`python -m quecbind.cli`, the same as `quecbind`."""

import sys

from quecbind.cli import main

sys.exit(main())
