# SPDX-License-Identifier: Apache-2.0
"""The mathematics: tensors in, tensors out. No ROS, no files, no clocks, no threads."""
