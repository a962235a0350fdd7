# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from the dataclasses of `config`, and back."""

from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ros2_clickgs.config import Leaf, build, leaves
from ros2_clickgs.errors import ClickGSError, ConfigError

T = TypeVar("T")


def declare(node: Node, config: type) -> None:
    """Declare every parameter of a configuration class, described and bounded.

    Raises:
        ClickGSError: the node was started with a value of another type, or out of bounds.
    """
    known = [(leaf.name, _ros_value(leaf.default), descriptor(leaf)) for leaf in leaves(config)]
    try:
        node.declare_parameters("", known)
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        raise ClickGSError(f"{error}; `python -m ros2_clickgs.config` lists them all") from error


def read(node: Node, config: type[T]) -> T:
    """Return the node's parameters as a validated configuration.

    Raises:
        ConfigError: a value is one that its parameter cannot have.
    """
    return build(
        config, {leaf.name: node.get_parameter(leaf.name).value for leaf in leaves(config)}
    )


def descriptor(leaf: Leaf) -> ParameterDescriptor:
    """Return what `ros2 param describe` shows."""
    message = ParameterDescriptor(description=leaf.doc)
    message.additional_constraints = " | ".join(leaf.choices)
    if leaf.bounds and isinstance(leaf.default, float):
        low, high = leaf.bounds
        message.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif leaf.bounds:
        low, high = map(int, leaf.bounds)
        message.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return message


def accept_live(
    node: Node, config: type[T], is_configured: Callable[[], bool], apply: Callable[[T], None]
) -> None:
    """Let `ros2 param set` change the node: valid values, once configured only live ones."""
    is_live = {leaf.name: leaf.live for leaf in leaves(config)}

    def on_set(changes: list[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in changes if p.name in is_live}
        fixed = [name for name in ours if not is_live[name]]
        if fixed and is_configured():
            reason = f"{', '.join(fixed)} can change only before `configure`; cleanup first"
            return SetParametersResult(successful=False, reason=reason)
        now = {name: node.get_parameter(name).value for name in is_live}
        try:
            changed = build(config, now | ours)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if ours:
            apply(changed)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)


def _ros_value(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default
