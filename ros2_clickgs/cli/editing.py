# SPDX-License-Identifier: Apache-2.0
"""`clickgs extract`, `delete`, `move` and `recolor`: what `~/edit_object` does, without ROS."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ros2_clickgs.cli.checks import check_number, check_output
from ros2_clickgs.cli.options import Color, MapPath, Shift, Turn
from ros2_clickgs.errors import ClickGSError, NotFoundError

if TYPE_CHECKING:
    from ros2_clickgs.core.editing import Change
    from ros2_clickgs.core.types import Gaussians
    from ros2_clickgs.io.labels import Labels


def extract(
    map: MapPath, *, labels: Path, object: str, out: Path, clean_edges: bool = False
) -> dict[str, Any]:
    """Write one object's Gaussians as a map of their own.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of that map.
        object: id or name.
        out: .ply or .spz to write.
        clean_edges: of Gaussians that lie across the object's border, write the inner half only.
    """
    return write_part(map, labels, object, out, inside=True, clean_edges=clean_edges)


def delete(map: MapPath, *, labels: Path, object: str, out: Path) -> dict[str, Any]:
    """Write the map without one object.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of that map.
        object: id or name.
        out: .ply or .spz to write.
    """
    return write_part(map, labels, object, out, inside=False)


def move(
    map: MapPath,
    *,
    labels: Path,
    object: str,
    out: Path,
    shift: Shift = (0.0, 0.0, 0.0),
    turn: Turn = (0.0, 0.0, 0.0),
    scale: float = 1.0,
) -> dict[str, Any]:
    """Scale and turn one object about the centre of its box, then shift it.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of that map.
        object: id or name.
        out: .ply or .spz to write; labels of it are written beside it.
        shift: along the map's axes, in m.
        turn: about the map's x, y and z axis, one after the other, in degrees.
        scale: factor, above 0.
    """
    check_number("--scale", scale, 1e-3, 1e3)
    for name, values in (("--shift", shift), ("--turn", turn)):
        for value in values:
            check_number(name, value, -1e6, 1e6)

    def motion(gaussians: "Gaussians", known: "Labels", object_id: int) -> "Change":
        import torch

        from ros2_clickgs.core.editing import turned_about
        from ros2_clickgs.core.geometry import rotmat_from_rpy
        from ros2_clickgs.core.objects import carries_most, oriented_box

        means = gaussians.means[known.labels == object_id]
        if len(known.votes_for):
            votes_for = known.votes_for[object_id - 1, known.labels == object_id]
            means = means[carries_most(votes_for)]
        center = oriented_box(means)[0][:3, 3]
        R = rotmat_from_rpy(torch.deg2rad(torch.tensor(turn, dtype=torch.float64)))
        return turned_about(center, R, scale, torch.tensor(shift, dtype=torch.float64))

    return write_edited(map, labels, object, out, motion)


def recolor(
    map: MapPath, *, labels: Path, object: str, out: Path, rgb: Color, mix: float = 1.0
) -> dict[str, Any]:
    """Tint one object.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of that map.
        object: id or name.
        out: .ply or .spz to write; labels of it are written beside it.
        rgb: the tint, each in [0, 1].
        mix: share of the tint: 0 leaves the old colour, 1 is the tint alone.
    """
    from ros2_clickgs.core.editing import Recolor

    for value in rgb:
        check_number("--rgb", value, 0.0, 1.0)
    check_number("--mix", mix, 0.0, 1.0)
    return write_edited(map, labels, object, out, lambda *_: Recolor(rgb=rgb, mix=mix))


def write_edited(
    map: Path, labels: Path, wanted: str, out: Path, change_of: Callable[..., "Change"]
) -> dict[str, Any]:
    """Write the map with one object changed, and its labels as NAME.labels.npz."""
    import torch

    from ros2_clickgs.core.editing import Edit
    from ros2_clickgs.io.labels import load_labels, save_labels
    from ros2_clickgs.io.maps import load_map, map_sha256, save_map

    check_output(out, (".ply", ".spz"))
    known = load_labels(labels, map_sha256(map))
    object_id, gaussians = id_of(known, wanted), load_map(map)
    rows = torch.nonzero(known.labels == object_id)[:, 0]
    edit = Edit(object_id, rows, change_of(gaussians, known, object_id))
    save_map(out, edit(gaussians))
    beside = out.with_suffix(".labels.npz")
    save_labels(beside, replace(known, map_sha256=map_sha256(out)))
    return {"out": str(out), "labels": str(beside), "object": object_id, "gaussians": len(rows)}


def write_part(
    map: Path, labels: Path, wanted: str, out: Path, *, inside: bool, clean_edges: bool = False
) -> dict[str, Any]:
    """Write the Gaussians inside or outside an object."""
    from ros2_clickgs.io.labels import load_labels
    from ros2_clickgs.io.maps import load_map, map_sha256, save_map

    check_output(out, (".ply", ".spz"))
    known = load_labels(labels, map_sha256(map))
    object_id = id_of(known, wanted)
    chosen = (known.labels == object_id) == inside
    if not chosen.any():
        raise ClickGSError(f"{out} would hold no Gaussian and is not written")
    gaussians = load_map(map)
    cut = (
        with_clean_edges(gaussians, known, object_id) if clean_edges else gaussians.select(chosen)
    )
    save_map(out, cut)
    return {"out": str(out), "object": object_id, "gaussians": int(chosen.sum())}


def with_clean_edges(gaussians: "Gaussians", known: "Labels", object_id: int) -> "Gaussians":
    """Return an object's Gaussians, of those across its border the inner half only.

    Raises:
        ClickGSError: the labels come without votes, which tell these from the others.
    """
    import torch

    from ros2_clickgs.core.boundaries import across, straddling
    from ros2_clickgs.core.splitting import clean_cut
    from ros2_clickgs.core.votes import Votes

    if len(known.votes_for) < object_id:
        raise ClickGSError("--clean-edges needs labels with votes, such as clickgs segment writes")
    row = slice(object_id - 1, object_id)
    votes = Votes(votes_for=known.votes_for[row], votes_against=known.votes_against[row])
    rows = torch.nonzero(known.labels == object_id)[:, 0]
    return clean_cut(gaussians, rows, straddling(across(votes), votes)[0, rows])


def id_of(labels: "Labels", wanted: str) -> int:
    """Return the id of the object that is meant by id or name.

    Raises:
        NotFoundError: no Gaussian has that label.
    """
    ids = [int(label) for label in labels.labels.unique() if label > 0]
    names = {name: row + 1 for row, name in enumerate(labels.names)}
    found = int(wanted) if wanted.isdecimal() else names.get(wanted)
    if found not in ids:
        shown = ", ".join(
            f"{i} ({labels.names[i - 1]})" if i <= len(labels.names) else str(i) for i in ids
        )
        raise NotFoundError("object", wanted, shown or "none")
    return found
