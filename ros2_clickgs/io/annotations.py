# SPDX-License-Identifier: Apache-2.0
"""Part annotations as people have them: label PNGs, labelme's JSON, UMD's label_rank."""

import base64
import binascii
import glob
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32
from PIL import Image, ImageDraw, UnidentifiedImageError

from ros2_clickgs.errors import FileFormatError
from ros2_clickgs.io.images import read_label_image

BACKGROUND_NAME = "background"
LABELS_ENDING = ".labels.png"
RANK_ENDINGS = ("_label_rank.mat", "_label_rank.npy")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".PNG", ".JPG", ".JPEG", "_rgb.jpg")
UMD_CLASSES = ["grasp", "cut", "scoop", "contain", "pound", "support", "wrap-grasp"]
"""Channels of label_rank, in their order (Myers et al. 2015)."""


def annotation_files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each annotation below a folder and the path of its image without the ending."""
    pattern = str(Path(glob.escape(str(folder)), "**", "*"))
    for path in sorted(map(Path, glob.iglob(pattern, recursive=True))):
        for ending in (LABELS_ENDING, *RANK_ENDINGS, ".json"):
            is_camera_file = path.name == "transforms.json"
            if path.name.endswith(ending) and path.is_file() and not is_camera_file:
                yield path, path.with_name(path.name.removesuffix(ending))


def class_names(folder: Path, annotations: list[Path]) -> list[str]:
    """Return the classes of a folder: classes.txt, or UMD's, or what labelme's shapes are called.

    Raises:
        FileFormatError: classes.txt is missing where label images need it, or is empty.
    """
    listed = folder / "classes.txt"
    if listed.is_file():
        names = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        if len(names) < 2 or len(set(names)) < len(names):
            problem = "does not name two different classes"
            raise FileFormatError(listed, problem, "first line background, then one per line")
        return names
    if any(path.name.endswith(LABELS_ENDING) for path in annotations):
        remedy = "write one class per line, the first for the background"
        raise FileFormatError(listed, "does not exist, but label images refer to it", remedy)
    names = {name for path in annotations for name in names_in(path)}
    return [BACKGROUND_NAME, *sorted(names - {BACKGROUND_NAME})]


def names_in(path: Path) -> set[str]:
    """Return the classes that an annotation may speak of."""
    if path.suffix == ".json":
        return {str(shape.get("label", "")) for shape in read_shapes(path)}
    return set(UMD_CLASSES)


def read_annotation(
    path: Path, classes: list[str], size: tuple[int, int]
) -> Int32[np.ndarray, "H W"]:
    """Return the index of each pixel's class; -1 says nothing.

    Args:
        path: of a label image, a labelme file or a label_rank.
        classes: the first is the background.
        size: width and height of the image, which shapes are drawn in, in px.

    Raises:
        FileFormatError: it is broken, or speaks of a class that is not listed.
    """
    if path.suffix == ".png":
        labels = read_label_image(path)
        if labels.max(initial=0) >= len(classes):
            problem = f"holds class {labels.max()}, but there are {len(classes)}"
            raise FileFormatError(path, problem, "add it to classes.txt; the first line is 0")
        return labels
    if path.suffix == ".json":
        return drawn_shapes(path, classes, size)
    return ranked(path, classes)


def ranked(path: Path, classes: list[str]) -> Int32[np.ndarray, "H W"]:
    """Return the class that UMD ranks first; pixels without one are background."""
    ranks = read_ranks(path)
    if ranks.ndim != 3 or ranks.shape[2] != len(UMD_CLASSES):
        problem = f"is of shape {ranks.shape}"
        raise FileFormatError(path, problem, f"give [H, W, {len(UMD_CLASSES)}]")
    labels = np.zeros(ranks.shape[:2], np.int32)
    for channel, name in enumerate(UMD_CLASSES):
        first = ranks[..., channel] == 1
        if first.any():
            labels[first] = index_of(name, classes, path)
    return labels


def read_ranks(path: Path) -> np.ndarray:
    """Return UMD's array as it is in the file; nothing is unpickled."""
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        from scipy.io import loadmat

        return np.asarray(loadmat(path)["gt_label"])
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, EOFError) as error:
        problem = f"is no label_rank of UMD ({str(error)[:80]})"
        raise FileFormatError(path, problem, "give `gt_label` [H, W, 7]") from None


def read_shapes(path: Path) -> list[dict[str, Any]]:
    """Return the shapes of a labelme file."""
    try:
        shapes = json.loads(path.read_text())["shapes"]
        return [dict(shape) for shape in shapes]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"is no labelme file ({type(error).__name__}: {str(error)[:60]})"
        raise FileFormatError(path, problem, "move it away, or save it with labelme") from None


def drawn_shapes(
    path: Path, classes: list[str], size: tuple[int, int]
) -> Int32[np.ndarray, "H W"]:
    """Return labelme's polygons, rectangles, circles and masks, the later over the earlier."""
    canvas = Image.new("I", size, 0)
    for shape in read_shapes(path):
        index = index_of(str(shape.get("label", "")), classes, path)
        try:
            draw_shape(canvas, shape, index)
        except (KeyError, TypeError, ValueError, binascii.Error, UnidentifiedImageError) as error:
            problem = f"has a shape that cannot be drawn ({str(error)[:60]})"
            raise FileFormatError(path, problem, "save it again with labelme") from None
    return np.array(canvas, np.int32)


def draw_shape(canvas: Image.Image, shape: dict[str, Any], index: int) -> None:
    """Draw one shape of labelme in a class's index."""
    kind = shape.get("shape_type", "polygon")
    points = [(float(x), float(y)) for x, y in shape["points"]]
    draw = ImageDraw.Draw(canvas)
    if kind == "mask":
        stencil = Image.open(io.BytesIO(base64.b64decode(shape["mask"], validate=True)))
        stencil = stencil.convert("L").point(lambda value: 255 * (value > 0))
        canvas.paste(index, tuple(round(c) for c in points[0]), stencil)
    elif kind == "rectangle":
        corners = np.array(points)
        draw.rectangle((*corners.min(0), *corners.max(0)), fill=index)
    elif kind == "circle":
        (x, y), rim = points
        radius = float(np.hypot(rim[0] - x, rim[1] - y))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=index)
    elif kind == "polygon":
        draw.polygon(points, fill=index)
    else:
        raise ValueError(f"shape_type {kind!r}")


def index_of(name: str, classes: list[str], path: Path) -> int:
    """Return the index of a class.

    Raises:
        FileFormatError: it is not listed.
    """
    if name not in classes:
        problem = f"speaks of class {name!r}; there are {', '.join(classes)}"
        raise FileFormatError(path, problem, "add it to classes.txt, or correct it")
    return classes.index(name)
