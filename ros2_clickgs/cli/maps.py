# SPDX-License-Identifier: Apache-2.0
"""`clickgs info` and `clickgs render`: what a map holds and what it looks like."""

from pathlib import Path
from typing import Any

from ros2_clickgs.cli.console import progress
from ros2_clickgs.cli.options import Backend, Cameras, MapPath


def info(map: MapPath) -> dict[str, Any]:
    """Tell what a map file holds.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
    """
    from ros2_clickgs.io.maps import load_map, map_sha256

    gaussians = load_map(map)
    low, high = gaussians.means.aminmax(dim=0)
    return {
        "map": str(map),
        "gaussians": len(gaussians),
        "sh_degree": int(gaussians.sh.shape[1] ** 0.5) - 1,
        "min_m": low.tolist(),
        "max_m": high.tolist(),
        "median_scale_m": float(gaussians.scales.median()),
        "median_opacity": float(gaussians.opacities.median()),
        "bytes": map.stat().st_size,
        "sha256": map_sha256(map),
    }


def render(
    map: MapPath,
    *,
    cameras: Cameras,
    out: Path,
    labels: Path | None = None,
    depth: bool = False,
    backend: Backend = "auto",
) -> dict[str, Any]:
    """Render every camera's view to NAME.png.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        cameras: transforms.json or a COLMAP sparse folder.
        out: folder for the pictures.
        labels: L.npz: also write NAME.labels.png, the label with the largest splatted weight.
        depth: also write NAME.depth.png, 16-bit mm.
        backend: rasterizer.
    """
    from ros2_clickgs.backends import make_rasterizer
    from ros2_clickgs.core.rendering import render as render_view
    from ros2_clickgs.core.rendering import render_labels
    from ros2_clickgs.io.cameras import load_views
    from ros2_clickgs.io.images import write_depth, write_image, write_label_image
    from ros2_clickgs.io.labels import load_labels
    from ros2_clickgs.io.maps import load_map, map_sha256

    views = load_views(cameras)
    rasterizer = make_rasterizer(load_map(map), backend)
    owners = load_labels(labels, map_sha256(map)).labels if labels else None
    for view in progress(views, "rendering", len(views)):
        picture = out / f"{view.name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        rendering = render_view(rasterizer, view.camera)
        write_image(picture, (rendering.color * 255).round().byte().cpu().numpy())
        if owners is not None:
            label_image = render_labels(rasterizer, view.camera, owners)
            write_label_image(
                picture.with_name(f"{picture.stem}.labels.png"), label_image.cpu().numpy()
            )
        if depth:
            write_depth(
                picture.with_name(f"{picture.stem}.depth.png"), rendering.depth.cpu().numpy()
            )
    return {"out": str(out), "views": len(views)}
