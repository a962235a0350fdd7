# SPDX-License-Identifier: Apache-2.0
"""ROS 2 around the core: the only folder that imports rclpy and knows messages."""
