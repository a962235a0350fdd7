# SPDX-License-Identifier: Apache-2.0
"""`clickgs affordance`: what regions of an object are for, from a few annotated images."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ros2_clickgs.cli.checks import check_number, check_output
from ros2_clickgs.cli.clicks import up_of
from ros2_clickgs.cli.console import progress
from ros2_clickgs.cli.editing import id_of
from ros2_clickgs.cli.options import Backend, MapPath, OptionalCameras
from ros2_clickgs.errors import ClickGSError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

    from ros2_clickgs.core.affordances.lifting import Evidence
    from ros2_clickgs.core.clicking import PosedImage
    from ros2_clickgs.core.types import Gaussians
    from ros2_clickgs.io.views import View

MAX_IMAGES = 16
"""Camera images that are looked at, spread over all that show the object."""


def affordance(
    map: MapPath,
    *,
    labels: Path,
    object: str,
    sources: Path,
    out: Path,
    cameras: OptionalCameras = None,
    views: int = 16,
    rule: Literal["soft", "majority"] = "soft",
    lifting: Literal["votes", "features"] = "votes",
    smoothing: float = 0.67,
    descriptor: Literal["auto", "dinov2", "dense"] = "auto",
    checkpoint: str = "",
    keep_sources: Path | None = None,
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Carry part annotations from images to an object's Gaussians.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of `clickgs segment`.
        object: its label there, or its name.
        sources: folder of annotated images of such objects, or an .npz prepared from one.
        out: A.npz to write.
        cameras: transforms.json or a COLMAP sparse folder; its images are looked at, too.
        views: pictures of the object alone, rendered from all around; 0 for none.
        rule: class probabilities, or the paper's five nearest neighbours.
        lifting: classify pixels and vote, or lift features and classify Gaussians.
        smoothing: how much neighbours agree, 0 to 0.99.
        descriptor: what compares images; auto is dinov2 where a checkpoint is given.
        checkpoint: DINOv2's weights, a file or a hub id.
        keep_sources: .npz to keep the prepared sources in, for --sources next time.
        backend: rasterizer.
    """
    from ros2_clickgs.core.affordances.options import TransferOptions
    from ros2_clickgs.core.affordances.transfer import decide
    from ros2_clickgs.io.affordances import save_affordances
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.maps import load_map
    from ros2_clickgs.io.sources import load_sources, save_source_set
    from ros2_clickgs.models.descriptors import make_descriptor

    check_output(out, (".npz",))
    check_number("--views", views, 0 if cameras else 1, 200)
    options = TransferOptions(rule=rule, lifting=lifting, smoothing=smoothing)
    start = time.perf_counter()
    describer = make_descriptor(descriptor, checkpoint)
    prepared = load_sources(sources, describer)
    if keep_sources:
        check_output(keep_sources, (".npz",))
        save_source_set(keep_sources, prepared)
    after_sources = time.perf_counter()
    gaussians, posed = load_map(map), load_views(cameras) if cameras else []
    ids = object_rows(labels, map, object, len(gaussians))
    after_loading = time.perf_counter()
    how = {"sources": prepared, "descriptor": describer, "options": options}
    evidence = gathered(gaussians, ids, posed, views, backend, **how)
    scores = decide(evidence, gaussians.select(ids), prepared, options)
    scores = scores.spread(ids, len(gaussians))
    save_affordances(out, scores)
    return {
        "out": str(out),
        "object": object,
        "descriptor": describer.name,
        "gaussians": {
            name: int((scores.labels == index).sum())
            for index, name in enumerate(prepared.classes)
        },
        "never_seen": int((scores.labels[ids] < 0).sum()),
        "seconds_sources": after_sources - start,
        "seconds": time.perf_counter() - after_loading,
    }


def object_rows(labels_path: Path, map_path: Path, wanted: str, count: int) -> "Tensor":
    """Return the rows of an object's Gaussians in a map of `count`.

    Labels that do not say which map they are for are taken, with a warning in the log.

    Raises:
        MapMismatchError: the labels are for another map.
        ShapeError: they are not as many as the map's Gaussians.
        NotFoundError: no object is called so.
        ClickGSError: it has no Gaussian.
    """
    from ros2_clickgs.io.labels import load_labels
    from ros2_clickgs.io.maps import map_sha256

    known = load_labels(labels_path, map_sha256(map_path), may_be_unnamed=True)
    if len(known.labels) != count:
        raise ShapeError(
            f"{labels_path}: labels", expected=f"({count},)", actual=(len(known.labels),)
        )
    rows = (known.labels == id_of(known, wanted)).nonzero()[:, 0]
    if len(rows) == 0:
        raise ClickGSError(f"{labels_path}: object {wanted} has no Gaussians; choose another")
    return rows


def gathered(
    gaussians: "Gaussians",
    ids: "Tensor",
    posed: "list[View]",
    view_count: int,
    backend: str,
    **how: Any,
) -> "Evidence":
    """Return what camera images and pictures of the object alone say together."""
    import torch

    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.affordances.transfer import gather
    from ros2_clickgs.core.affordances.viewing import bounding_sphere, cameras_around

    alone, said = gaussians.select(ids), []
    center, _ = bounding_sphere(alone.means.double())
    images = spread_images(posed, center)
    if images:
        looking = progress(images, "looking at images", len(images))
        said.append(gather(make_rasterizer(gaussians, backend), ids, looking, **how))
    if view_count:
        cameras = cameras_around(alone, up_of(posed), view_count)
        looking = progress(cameras, "looking around", len(cameras))
        own = torch.arange(len(alone))
        said.append(gather(make_rasterizer(alone, backend), own, looking, **how))
    if not said:
        raise ClickGSError("no camera image shows the object; give --views 16")
    return sum(said[1:], said[0])


def spread_images(posed: "list[View]", center: "Tensor") -> "list[PosedImage]":
    """Return up to MAX_IMAGES camera images that point at the object, from all directions."""
    from ros2_clickgs.core.clicking import PosedImage
    from ros2_clickgs.core.sight import order_by_sight
    from ros2_clickgs.io.images import read_image

    pictured = [view for view in posed if view.image_path]
    order = order_by_sight([view.camera for view in pictured], center)[:MAX_IMAGES]
    chosen = [pictured[i] for i in order]
    return [PosedImage(v.camera, read_image(v.image_path, v.camera)) for v in chosen]
