# SPDX-License-Identifier: Apache-2.0
"""Procedural maps with ground truth: everyday things on a table, every Gaussian knows its part."""
