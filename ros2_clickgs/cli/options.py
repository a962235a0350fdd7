# SPDX-License-Identifier: Apache-2.0
"""Types of arguments that several commands share; their words in help texts."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

MapPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MAP")]
Backend = Literal["auto", "gsplat", "numba", "reference"]
Cameras = Annotated[Path, tyro.conf.arg(metavar="CAMS")]
OptionalCameras = Annotated[Path | None, tyro.conf.arg(metavar="CAMS")]
Point = Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="X Y Z")]
Pixel = Annotated[tuple[str, float, float] | None, tyro.conf.arg(metavar="VIEW U V")]
Shift = Annotated[tuple[float, float, float], tyro.conf.arg(metavar="X Y Z")]
Turn = Annotated[tuple[float, float, float], tyro.conf.arg(metavar="ROLL PITCH YAW")]
Color = Annotated[tuple[float, float, float], tyro.conf.arg(metavar="R G B")]
