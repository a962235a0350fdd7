# SPDX-License-Identifier: Apache-2.0
"""An executor's loop that outlives subscriptions which a transition destroys."""

from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor


def spin(executor: Executor) -> None:
    """Spin until the executor or ROS is shut down.

    rclpy fills its wait set while another thread may run a transition that destroys what is being
    put into it; it then raises InvalidHandle (of an event handler: EventHandler.add_to_wait_set)
    and may go on as if nothing was. Everything else is raised.
    """
    while True:
        try:
            return executor.spin()
        except InvalidHandle:
            continue
