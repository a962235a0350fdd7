# SPDX-License-Identifier: Apache-2.0
"""What services write to disk, only ever below `session_dir`."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from torch import Tensor

from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.labels import Labels, save_labels
from ros2_clickgs.io.maps import map_sha256, save_map

if TYPE_CHECKING:
    from ros2_clickgs.nodes.workbench import Workbench


def path_below(session_dir: str, path: str) -> Path:
    """Return the absolute path that a service's caller means.

    Raises:
        ClickGSError: it is empty, or leads out of `session_dir`.
    """
    root = Path(session_dir).expanduser().resolve()
    wanted = (root / path).resolve() if path.isprintable() else root
    if not wanted.is_relative_to(root) or wanted == root:
        raise ClickGSError(f"path {path!r} is no file inside session_dir {root}; name one there")
    return wanted


def features_file(session_dir: str, map_path: str, map_sha256: str) -> Path:
    """Return the file that keeps the features of a map, below `session_dir`."""
    return path_below(session_dir, f"{Path(map_path).stem}-{map_sha256[:8]}.features.npz")


def export(
    workbench: "Workbench", path: Path, rows: Bool[Tensor, " N"], *, overwrite: bool
) -> int:
    """Write those Gaussians in the map file's frame; return how many.

    Raises:
        ClickGSError: there are none, the file exists and is to stay, or it cannot be written.
    """
    count = int(rows.sum())
    if not count:
        raise ClickGSError(
            f"{path} would hold no Gaussian and is not written; choose other objects"
        )
    to_file = workbench.map_from_file.inverse()
    chosen = to_file(workbench.rasterizer.gaussians.select(rows.cpu()).to("cpu"))
    try:
        if path.exists() and not overwrite:
            raise ClickGSError(f"{path} exists; set overwrite or choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_map(path, chosen)
    except OSError as error:
        reason = error.strerror or error
        raise ClickGSError(f"{path} cannot be written: {reason}; choose another name") from error
    return count


def export_labels(workbench: "Workbench", path: Path, rows: Bool[Tensor, " N"]) -> None:
    """Write the objects of an exported map beside it, as NAME.labels.npz."""
    objects, names = workbench.objects, workbench.objects.names
    labels = Labels(
        labels=objects.labels().cpu()[rows],
        names=[names.get(i, "") for i in range(1, max(names, default=0) + 1)],
        map_sha256=map_sha256(path),
    )
    save_labels(path.with_suffix(".labels.npz"), labels)


def rows_of(workbench: "Workbench", ids: list[int], *, invert: bool) -> Bool[Tensor, " N"]:
    """Return which Gaussians belong to any of these objects; no ids mean the whole map.

    What is deleted or pruned belongs to nothing.

    Raises:
        NotFoundError: an id does not exist.
    """
    workbench.require(ids)
    labels = workbench.objects.labels().cpu()
    there = ~workbench.objects.state.hidden
    if not ids:
        return there
    return (torch.isin(labels, torch.tensor(ids, dtype=labels.dtype)) ^ invert) & there
