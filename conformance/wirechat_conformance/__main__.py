"""Run the command as ``python -m wirechat_conformance``."""

import sys

from wirechat_conformance.cli import main

sys.exit(main())
