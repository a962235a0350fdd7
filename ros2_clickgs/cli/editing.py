# SPDX-License-Identifier: Apache-2.0
"""`clickgs extract` and `clickgs delete`: an object alone, and the map without it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ros2_clickgs.cli.checks import check_output
from ros2_clickgs.cli.options import MapPath
from ros2_clickgs.errors import ClickGSError, NotFoundError

if TYPE_CHECKING:
    from ros2_clickgs.io.labels import Labels


def extract(map: MapPath, *, labels: Path, object: str, out: Path) -> dict[str, Any]:
    """Write one object's Gaussians as a map of their own.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of that map.
        object: id or name.
        out: .ply or .spz to write.
    """
    return write_part(map, labels, object, out, inside=True)


def delete(map: MapPath, *, labels: Path, object: str, out: Path) -> dict[str, Any]:
    """Write the map without one object.

    Args:
        map: .ply, .compressed.ply, .splat or .spz.
        labels: L.npz of that map.
        object: id or name.
        out: .ply or .spz to write.
    """
    return write_part(map, labels, object, out, inside=False)


def write_part(map: Path, labels: Path, wanted: str, out: Path, *, inside: bool) -> dict[str, Any]:
    """Write the Gaussians inside or outside an object."""
    from ros2_clickgs.io.labels import load_labels
    from ros2_clickgs.io.maps import load_map, map_sha256, save_map

    check_output(out, (".ply", ".spz"))
    known = load_labels(labels, map_sha256(map))
    object_id = id_of(known, wanted)
    chosen = (known.labels == object_id) == inside
    if not chosen.any():
        raise ClickGSError(f"{out} would hold no Gaussian and is not written")
    save_map(out, load_map(map).select(chosen))
    return {"out": str(out), "object": object_id, "gaussians": int(chosen.sum())}


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
