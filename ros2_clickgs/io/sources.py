# SPDX-License-Identifier: Apache-2.0
"""Annotated images in folders, and what was prepared of them in one small .npz."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Shaped

from ros2_clickgs.core.affordances.sources import AnnotatedImage, SourceSet, prepare
from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.errors import FileFormatError, ShapeError
from ros2_clickgs.io.annotations import (
    PICTURE_ENDINGS,
    annotation_files,
    class_names,
    read_annotation,
)
from ros2_clickgs.io.atomic import atomic_path
from ros2_clickgs.io.images import image_size, read_image
from ros2_clickgs.io.npz import NpzReader

MAX_PIXELS = 40_000_000
"""Of one image; more only costs memory, since objects are described at a small size."""
MASK_ENDINGS = (".mask.png", "_mask.png", "_mask.jpg")
KINDS = (
    "NAME.png or .jpg with NAME.labels.png and classes.txt, labelme's NAME.json, or UMD's "
    "NAME_rgb.jpg with NAME_label_rank"
)
PREPARE_AGAIN = "prepare the sources again from their folder"


def load_sources(path: str | Path, descriptor: Descriptor) -> SourceSet:
    """Return a folder's annotated images, described, or what was prepared of one.

    Args:
        path: folder, or .npz of `save_source_set`.
        descriptor: what describes the images.

    Raises:
        FileFormatError: nothing is annotated there, or a file is broken, huge or lacks its image.
        ShapeError: labels or mask are of another size than the image.
        ConfigError: the sources were prepared with another descriptor.
        ClickGSError: all that is annotated is of one class.
    """
    if Path(path).suffix != ".npz":
        return prepare(*load_pictures(path), descriptor)
    sources = load_source_set(path)
    sources.check_descriptor(descriptor)
    return sources


def load_pictures(folder: str | Path) -> tuple[list[AnnotatedImage], list[str]]:
    """Return the annotated images below a folder, and their classes, the background first.

    An object mask beside an image, NAME.mask.png or UMD's NAME_mask.jpg, says which pixels are
    the object.

    Raises:
        FileFormatError: nothing is annotated there, or a file is broken, huge or lacks its image.
        ShapeError: labels or mask are of another size than the image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileFormatError(folder, "is no folder", f"give one with {KINDS}")
    found = list(annotation_files(folder))
    if not found:
        raise FileFormatError(folder, "holds no annotated images", f"put {KINDS} there")
    classes = class_names(folder, [path for path, _ in found])
    return [read_picture(path, stem, classes) for path, stem in found], classes


def read_picture(annotation: Path, stem: Path, classes: list[str]) -> AnnotatedImage:
    """Return one image with its annotation."""
    path = beside(stem, PICTURE_ENDINGS)
    if path is None:
        raise FileFormatError(annotation, "has no image beside it", f"put {stem.name}.png there")
    width, height = image_size(path)
    if width * height > MAX_PIXELS:
        problem = f"is {width}x{height} px, more than {MAX_PIXELS // 1_000_000} million"
        raise FileFormatError(path, problem, "shrink the image and its labels")
    labels = read_annotation(annotation, classes, (width, height))
    check_size(annotation, labels, (width, height))
    mask_path = beside(stem, MASK_ENDINGS)
    mask = None
    if mask_path is not None:
        mask = read_image(mask_path).max(-1) > 127
        check_size(mask_path, mask, (width, height))
        check_mask(mask_path, mask)
    return AnnotatedImage(name=stem.name, image=read_image(path), labels=labels, mask=mask)


def beside(stem: Path, endings: tuple[str, ...]) -> Path | None:
    """Return the first existing file that is called as the stem with one of the endings."""
    candidates = (stem.with_name(stem.name + ending) for ending in endings)
    return next((path for path in candidates if path.is_file()), None)


def check_size(path: Path, pixels: Shaped[np.ndarray, "H W"], size: tuple[int, int]) -> None:
    """Raise ShapeError unless pixels are as many as the image's (width, height)."""
    if pixels.shape != size[::-1]:
        actual = f"{pixels.shape[1]}x{pixels.shape[0]} px"
        expected = f"{size[0]}x{size[1]} px, the size of its image"
        raise ShapeError(str(path), expected=expected, actual=actual)


def check_mask(path: Path, mask: Bool[np.ndarray, "H W"]) -> None:
    """Raise FileFormatError if a mask is empty."""
    if not mask.any():
        raise FileFormatError(path, "marks no pixel as the object", "mark it white, or remove it")


def save_source_set(path: str | Path, sources: SourceSet) -> None:
    """Write prepared sources (features in float16) atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            classes=np.array(sources.classes, dtype=np.str_),
            descriptor=np.array(sources.descriptor),
            features=sources.features.numpy().astype(np.float16),
            labels=sources.labels.numpy(),
            pictures=sources.pictures.numpy(),
        )


def load_source_set(path: str | Path) -> SourceSet:
    """Return prepared sources; nothing is unpickled.

    Raises:
        FileFormatError: the file is broken.
        ShapeError: its arrays do not fit each other.
    """
    with NpzReader(path, PREPARE_AGAIN) as arrays:
        classes, names = arrays.texts("classes"), arrays.texts("descriptor")
        features = arrays.numbers("features", np.float32)
        labels, pictures = (arrays.numbers(n, np.int32) for n in ("labels", "pictures"))
    count = len(features)
    if features.ndim != 2 or labels.shape != (count,) or pictures.shape != (count,):
        actual = (features.shape, labels.shape, pictures.shape)
        raise ShapeError(f"{path}: arrays", expected="[E, D], [E] and [E]", actual=actual)
    if not names or count == 0 or labels.min() < 0 or labels.max() >= len(classes):
        raise FileFormatError(path, "is no prepared set of sources", PREPARE_AGAIN)
    return SourceSet(
        classes=classes,
        descriptor=names[0],
        features=torch.from_numpy(features),
        labels=torch.from_numpy(labels),
        pictures=torch.from_numpy(pictures),
    )
