# SPDX-License-Identifier: Apache-2.0
"""The command line: the same core without ROS, and what starts the nodes. A file per family."""

import json
import logging
import os
import sys
from collections.abc import Sequence

from ros2_clickgs.errors import ClickGSError

DONE, BUG, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: what follows `clickgs`; None takes it from the process.

    Returns:
        0 done, 2 bad input (told in one line on stderr). A bug raises, which exits with 1.
    """
    # OpenMP threads that wait busily starve the other processes of a robot's computer.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    words = list(sys.argv[1:] if argv is None else argv)
    from ros2_clickgs.cli.arguments import parse
    from ros2_clickgs.cli.console import print_report

    try:
        command = parse([word for word in words if word != "--json"])
        report = command()
    except ClickGSError as error:
        return tell(str(error))
    except OSError as error:
        return tell(
            f"{error.filename}: {error.strerror}; check the path" if error.filename else error
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    if isinstance(report, int):
        return report
    if "--json" in words:
        print(json.dumps(report))
    else:
        print_report(report)
    return DONE


def tell(problem: object) -> int:
    """Say in one line on stderr what is wrong with the input."""
    print("clickgs:", " ".join(str(problem).split()), file=sys.stderr)
    return BAD_INPUT
