# SPDX-License-Identifier: Apache-2.0
"""One script per claim: prints a table, writes results/NAME-HARDWARE.json."""
