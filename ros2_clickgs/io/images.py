# SPDX-License-Identifier: Apache-2.0
"""Pictures as arrays: colour, depth and labels. Numpy here; tensors begin in core."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8
from PIL import Image

from ros2_clickgs.core.types import IGNORE, Camera
from ros2_clickgs.errors import ClickGSError, FileFormatError, ShapeError
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.views import View

IGNORE_8_BIT = 255
IGNORE_16_BIT = 65535
DEPTH_STEP_M = 0.001
"""One step of a depth image that is written here."""


def read_image(path: str | Path, camera: Camera | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Return an image file as RGB.

    Raises:
        FileFormatError: the file is missing, broken or no image.
        ShapeError: a camera is given and has another size.
    """
    with _opened(path) as image:
        return _of_size(path, np.array(image.convert("RGB")), camera)


def write_image(path: str | Path, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write an RGB image in the format of the path's suffix."""
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(rgb)).save(temporary)


def image_size(path: str | Path) -> tuple[int, int]:
    """Return width and height in px, reading only the header."""
    with _opened(path) as image:
        return image.size


def read_depth(
    path: str | Path, unit_m: float = DEPTH_STEP_M, camera: Camera | None = None
) -> Float32[np.ndarray, "H W"]:
    """Return a 16-bit depth image in m; 0 is unknown.

    Args:
        path: the file.
        unit_m: length of one step, in m.
        camera: if given, the image must have its size.

    Raises:
        FileFormatError: the file is missing, broken or not a 16-bit single-channel image.
        ShapeError: a camera is given and has another size.
    """
    with _opened(path) as image:
        if not image.mode.startswith("I"):
            problem = f"is no 16-bit depth image, its pixels are of kind '{image.mode}'"
            raise FileFormatError(path, problem, "give a single-channel 16-bit PNG")
        return _of_size(path, np.asarray(image).astype(np.float32) * np.float32(unit_m), camera)


def write_depth(path: str | Path, depth_m: Float32[np.ndarray, "H W"]) -> None:
    """Write depth (m) as a 16-bit PNG in mm; unknown or beyond 65.5 m becomes 0."""
    millimetres = np.nan_to_num(np.rint(np.asarray(depth_m) / DEPTH_STEP_M), posinf=0, neginf=0)
    millimetres[(millimetres < 0) | (millimetres > 65535)] = 0
    with atomic_path(path) as temporary:
        Image.fromarray(millimetres.astype(np.uint16)).save(temporary, format="PNG")


def read_label_image(path: str | Path, camera: Camera | None = None) -> Int32[np.ndarray, "H W"]:
    """Return a label image; 0 is background.

    IGNORE (-1) is where an 8-bit file says 255 or a 16-bit file says 65535.

    Raises:
        FileFormatError: the file is missing, broken or has several channels.
        ShapeError: a camera is given and has another size.
    """
    with _opened(path) as image:
        is_deep = image.mode.startswith("I")
        if not is_deep and image.mode not in ("L", "P", "1"):
            problem = f"is no label image, its pixels are of kind '{image.mode}'"
            raise FileFormatError(path, problem, "give one channel: pixel = label, 8 or 16 bits")
        labels = np.asarray(image).astype(np.int32)
    labels[labels == (IGNORE_16_BIT if is_deep else IGNORE_8_BIT)] = IGNORE
    return _of_size(path, labels, camera)


def write_label_image(path: str | Path, labels: Int[np.ndarray, "H W"]) -> None:
    """Write a label image as PNG: 8 bits while labels fit (0 to 254), else 16; IGNORE is the top.

    Raises:
        ShapeError: a label is beyond 65534.
    """
    labels = np.asarray(labels)
    highest = int(labels.max(initial=0))
    if highest >= IGNORE_16_BIT:
        raise ShapeError("labels", expected="0 to 65534", actual=highest)
    top, kind = (255, np.uint8) if highest < IGNORE_8_BIT else (65535, np.uint16)
    pixels = np.where(labels < 0, top, labels).astype(kind)
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def find_label_image(masks_dir: str | Path, view: View, kind: str = "") -> Path | None:
    """Return the label image of a view, or None where it has none.

    Args:
        masks_dir: folder of NAME.png, where NAME is the view's name or its image's stem.
        view: whose labels.
        kind: for `train`, `coarse` or `fine`: then NAME.coarse.png or NAME.fine.png.
    """
    names = [view.name]
    if view.image_path is not None:
        names += [view.image_path.stem, view.image_path.name]
    suffix = f".{kind}.png" if kind else ".png"
    candidates = (Path(masks_dir) / (name + suffix) for name in names)
    return next((path for path in candidates if path.is_file()), None)


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except ClickGSError:
        raise
    except FileNotFoundError:
        raise FileFormatError(path, "does not exist", "check the path") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise FileFormatError(path, "claims too many pixels", "give a smaller image") from None
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        problem = f"is no image that can be read ({str(error)[:80]})"
        raise FileFormatError(path, problem, "give a PNG or JPEG file") from None


def _of_size(path: str | Path, pixels: np.ndarray, camera: Camera | None) -> np.ndarray:
    if camera is not None and pixels.shape[:2] != (camera.height, camera.width):
        actual = f"{pixels.shape[1]}x{pixels.shape[0]} px"
        expected = f"{camera.width}x{camera.height} px, the size of its camera"
        raise ShapeError(str(path), expected=expected, actual=actual)
    return pixels
