# SPDX-License-Identifier: Apache-2.0
"""`clickgs segment`: masks of posed images vote on the map's Gaussians."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ros2_clickgs.cli.checks import check_number, check_output
from ros2_clickgs.cli.console import progress
from ros2_clickgs.cli.options import Backend, Cameras, MapPath
from ros2_clickgs.errors import ClickGSError

if TYPE_CHECKING:
    from ros2_clickgs.io.views import View

MAX_VOTES_BYTES = 8 << 30
"""Votes beyond this mean that the images hold no labels, such as depth given for masks."""


def segment(
    map: MapPath,
    *,
    cameras: Cameras,
    masks: Path,
    out: Path,
    every: int = 1,
    background_weight: float = 1.0,
    robust: bool = False,
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Label every Gaussian from 2D masks.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        cameras: transforms.json or a COLMAP sparse folder.
        masks: folder of NAME.png: pixel = label, 0 background, 255 (16 bits: 65535) ignored.
        out: L.npz to write.
        every: use each k-th view.
        background_weight: an object needs votes for > this times votes against.
        robust: for masks of a network or poses that are off: a mask is moved to where the other
            views say the object is, and does not vote if it contradicts them. Without it, the
            paper's sum over all masks as they are.
        backend: rasterizer.
    """
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.consensus import agreed_votes, summed_votes
    from ros2_clickgs.core.votes import decide_labels
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.labels import Labels, save_labels
    from ros2_clickgs.io.maps import load_map, map_sha256

    check_number("--every", every, 1, float("inf"))
    check_number("--background-weight", background_weight, 0, 1e6)
    check_output(out, (".npz",))
    views = load_views(cameras)
    masked = with_masks(views[::every], masks)
    rasterizer = make_rasterizer(load_map(map), backend)
    count = label_count(masked, len(rasterizer.gaussians))
    start = time.perf_counter()
    label_images = LabelImages(masked)
    if robust:
        votes = agreed_votes(rasterizer, label_images, count, background_weight)
    else:
        votes = summed_votes(rasterizer, label_images, count)
    labels = decide_labels(votes, background_weight)
    save_labels(
        out,
        Labels(
            labels=labels,
            votes_for=votes.votes_for,
            votes_against=votes.votes_against,
            names=[f"object_{i + 1}" for i in range(count)],
            map_sha256=map_sha256(map),
        ),
    )
    return {
        "out": str(out),
        "views": len(masked),
        "views_without_mask": len(views[::every]) - len(masked),
        "labels": {str(i + 1): int((labels == i + 1).sum()) for i in range(count)},
        "background": int((labels == 0).sum()),
        "never_seen": int((labels < 0).sum()),
        "seconds": time.perf_counter() - start,
    }


class LabelImages:
    """Cameras and label images that are read from their files each time they are gone through."""

    def __init__(self, masked: "list[tuple[View, Path]]") -> None:
        self._masked = masked

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for view, path in progress(self._masked, "voting", len(self._masked)):
            yield view.camera, read_labels(path, view)


def with_masks(views: "list[View]", masks: Path) -> "list[tuple[View, Path]]":
    """Return the views that have a label image, with its path.

    Raises:
        ClickGSError: the folder is missing, or no view has one.
    """
    from ros2_clickgs.io.images import find_label_image

    if not masks.is_dir():
        raise ClickGSError(f"{masks}: no such folder; give the folder with the views' mask PNGs")
    found = [(view, path) for view in views if (path := find_label_image(masks, view))]
    if not found:
        names = ", ".join(f"{view.name}.png" for view in views[:3])
        raise ClickGSError(
            f"{masks}: no mask for any of {len(views)} views; name them like the images: {names}"
        )
    return found


def label_count(masked: "list[tuple[View, Path]]", gaussian_count: int) -> int:
    """Return the highest label in all masks; reads every file, so that bad ones are told at once.

    Raises:
        ClickGSError: there is no object in any mask, or labels too high to hold votes for.
    """
    highest, at = max((int(read_labels(path, view).max()), str(path)) for view, path in masked)
    if highest < 1:
        raise ClickGSError(
            f"{len(masked)} masks hold no object; a pixel's value must be its label, 1 or more"
        )
    size = 8 * highest * gaussian_count
    if size > MAX_VOTES_BYTES:
        raise ClickGSError(
            f"{at}: label {highest}; votes for so many would take {size / 2**30:.0f} GiB; "
            "number the objects 1, 2, 3, …"
        )
    return highest


def read_labels(path: Path, view: "View") -> Any:
    """Return a view's label image as an int32 tensor [H, W]."""
    import torch

    from ros2_clickgs.io.images import read_label_image

    return torch.from_numpy(read_label_image(path, view.camera))
