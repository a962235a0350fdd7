# SPDX-License-Identifier: Apache-2.0
"""`python -m ros2_clickgs.cli`."""

import sys

from ros2_clickgs.cli import main

sys.exit(main())
