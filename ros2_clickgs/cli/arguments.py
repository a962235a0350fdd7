# SPDX-License-Identifier: Apache-2.0
"""From words to a command that is ready to run; mistakes in one line."""

import contextlib
import functools
import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from ros2_clickgs.cli.affordance import affordance
from ros2_clickgs.cli.building import build_map
from ros2_clickgs.cli.clicks import click
from ros2_clickgs.cli.demo import demo
from ros2_clickgs.cli.editing import delete, extract, move, recolor
from ros2_clickgs.cli.features import everything, query, train
from ros2_clickgs.cli.maps import info, render
from ros2_clickgs.cli.pruning import prune
from ros2_clickgs.cli.running import bench, up
from ros2_clickgs.cli.voting import segment
from ros2_clickgs.errors import ClickGSError

COMMANDS = {
    "info": info,
    "render": render,
    "segment": segment,
    "click": click,
    "extract": extract,
    "delete": delete,
    "move": move,
    "recolor": recolor,
    "prune": prune,
    "build-map": build_map,
    "train": train,
    "query": query,
    "everything": everything,
    "affordance": affordance,
    "up": up,
    "demo": demo,
    "bench": bench,
}
DESCRIPTION = (
    "Click on a thing in a 3D Gaussian Splatting map; get its Gaussians, box and cloud. "
    "With --json a command prints one JSON object."
)


def parse(words: Sequence[str]) -> Callable[[], Any]:
    """Return the command that the words mean, with its arguments bound.

    Raises:
        ClickGSError: the words are no command; says which of them, and where help is.
        SystemExit: help was asked for and printed.
    """
    own, ros_args = split_ros_args(words)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            command = tyro.extras.subcommand_cli_from_dict(
                {name: bound(command) for name, command in COMMANDS.items()},
                prog="clickgs",
                description=DESCRIPTION,
                args=own,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if not end.code:
            raise
        raise ClickGSError(in_one_line(said.getvalue())) from None
    if ros_args and command.func is not up:
        raise ClickGSError("only `clickgs up` takes --ros-args; see clickgs up --help")
    return functools.partial(command, ros_args=ros_args) if ros_args else command


def split_ros_args(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the words before `--ros-args` and those after it."""
    if "--ros-args" not in words:
        return list(words), ()
    place = list(words).index("--ros-args")
    return list(words[:place]), tuple(words[place + 1 :])


def bound(command: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """Return the command with its signature, but calling it only binds the arguments."""

    @functools.wraps(command)
    def bind(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        return functools.partial(command, *args, **kwargs)

    return bind


def is_rule(row: str) -> bool:
    """Return whether a row is a line across tyro's frame, drawn with or without Unicode."""
    return bool(row) and not row.strip("─-")


def in_one_line(box: str) -> str:
    """Return the message of tyro's framed error, without frame and list of alternatives."""
    rows = [line.strip("│╭╮╰╯ ") for line in box.splitlines()][1:]
    body = itertools.dropwhile(is_rule, rows)
    told = " ".join(filter(None, itertools.takewhile(lambda row: not is_rule(row), body)))
    told = told.split(" Got errors:")[0].rstrip(".").replace("{None}|", "")
    if "Perhaps you meant" in box:
        meant = (row for row in rows if row.startswith("--") and not is_rule(row))
        told += f"; perhaps you meant {next(meant)}"
    if "Available subcommands" in box:
        told += "; commands: " + ", ".join(COMMANDS)
    return f"{told}; see clickgs --help"
