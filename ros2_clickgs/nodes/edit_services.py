# SPDX-License-Identifier: Apache-2.0
"""The segmenter's services that change the map's Gaussians, and those that keep it all."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from ros2_clickgs.core.editing import turned_about
from ros2_clickgs.errors import ClickGSError, NotFoundError
from ros2_clickgs.nodes.conversions.geometry import point_from_msg, rotation_from_xyzw
from ros2_clickgs.nodes.files import export, path_below, rows_of
from ros2_clickgs.nodes.prunings import prune
from ros2_clickgs.nodes.workbench import Workbench
from ros2_clickgs.srv import EditObject, LoadSession, PruneMap, SaveSession

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode

SCALES = (1e-3, 1e3)
"""Bounds of how much an object may be scaled at once."""
Edit = Callable[[Workbench], int]
"""Changes the map; returns how many Gaussians."""


class EditServices:
    """edit_object, prune_map, save_session, load_session."""

    def __init__(self, node: "SegmenterNode") -> None:
        self.node = node

    async def edit_object(self, request: EditObject.Request, response: EditObject.Response) -> str:
        """Change an object's Gaussians, take changes back, or write the object alone to a file."""
        if request.operation == request.EXTRACT:
            return await self._extract(request, response)
        edit = edit_of(request)

        def work(bench: Workbench) -> None:
            response.gaussian_count = edit(bench)
            bench.session.touch()
            response.undo_depth = len(bench.objects.state.done)
            if request.object_id in bench.objects.ids:
                response.object = self.node.outputs.object_msg(bench, request.object_id)

        await self.node.answer(work, changes=True)
        return f"{request.operation}: {response.gaussian_count} Gaussians"

    async def _extract(self, request: EditObject.Request, response: EditObject.Response) -> str:
        name = request.path or f"object_{request.object_id}.ply"
        path = path_below(self.node.config.session_dir, name)

        def work(bench: Workbench) -> None:
            bench.require([request.object_id])
            rows = rows_of(bench, [request.object_id], invert=False)
            response.object = self.node.outputs.object_msg(bench, request.object_id)
            response.undo_depth = len(bench.objects.state.done)
            response.gaussian_count = export(bench, path, rows, overwrite=True)

        await self.node.answer(work, changes=False)
        response.path = str(path)
        return f"wrote {response.gaussian_count} Gaussians to {path}"

    async def prune_map(self, request: PruneMap.Request, response: PruneMap.Response) -> str:
        """Drop what no kept view sees, and tell what it cost."""

        def work(bench: Workbench) -> None:
            facts = prune(bench, request.min_visibility, dry_run=request.dry_run)
            for name, value in facts.items():
                setattr(response, name, value)

        await self.node.answer(work, changes=not request.dry_run)
        before, after = response.gaussians_before, response.gaussians_after
        return f"{before} to {after} Gaussians{' if done' if request.dry_run else ''}"

    async def save_session(
        self, request: SaveSession.Request, response: SaveSession.Response
    ) -> str:
        """Write objects, names, votes and edits to a file."""
        root = self.node.config.session_dir
        wanted = path_below(root, request.path) if request.path else None

        def work(bench: Workbench) -> None:
            path = bench.session.save(wanted, overwrite=request.overwrite)
            response.path, response.object_count = str(path), len(bench.objects.ids)

        await self.node.answer(work, changes=False)
        return f"wrote {response.object_count} objects to {response.path}"

    async def load_session(
        self, request: LoadSession.Request, response: LoadSession.Response
    ) -> str:
        """Take over what save_session wrote."""
        path = path_below(self.node.config.session_dir, request.path)

        def work(bench: Workbench) -> None:
            bench.looks.clear()
            bench.session.load(path)
            response.object_count = len(bench.objects.ids)

        await self.node.answer(work, changes=True)
        return f"restored {response.object_count} objects of {path}"


def edit_of(request: EditObject.Request) -> Edit:
    """Return what a request asks to do.

    Raises:
        ClickGSError: the operation is unknown, or a number is out of its bounds.
    """
    if request.operation == request.UNDO:
        return undo
    if request.operation == request.REDO:
        return redo
    if request.operation == request.DELETE:
        return owned(request.object_id, lambda bench: bench.objects.delete(request.object_id))
    if request.operation == request.RECOLOR:
        return owned(request.object_id, recolor_of(request))
    if request.operation == request.TRANSFORM:
        return owned(request.object_id, transform_of(request))
    known = "extract, delete, transform, recolor, undo, redo"
    raise NotFoundError("operation", request.operation, known)


def undo(bench: Workbench) -> int:
    """Take back the last edit."""
    bench.objects.undo()
    return len(bench.objects.state.undone[-1].rows)


def redo(bench: Workbench) -> int:
    """Make the last edit again."""
    bench.objects.redo()
    return len(bench.objects.state.done[-1].edit.rows)


def owned(object_id: int, edit: Edit) -> Edit:
    """Return the edit, which refuses an object that owns no Gaussians."""

    def checked(bench: Workbench) -> int:
        if not len(bench.objects.get(object_id).gaussian_ids):
            raise ClickGSError(f"object {object_id} owns no Gaussians; refine it first")
        return edit(bench)

    return checked


def recolor_of(request: EditObject.Request) -> Edit:
    """Return the tinting that is asked for."""
    color = request.color
    rgba = (color.r, color.g, color.b, color.a)
    if not all(0 <= value <= 1 for value in rgba):
        raise ClickGSError(f"color (r, g, b, a) = {rgba} is not within 0 to 1; send such numbers")
    rgb, mix = torch.tensor(rgba[:3], dtype=torch.float64), float(color.a)
    return lambda bench: bench.objects.recolor(request.object_id, rgb, mix)


def transform_of(request: EditObject.Request) -> Edit:
    """Return the motion that is asked for, about the centre of the object's box."""
    q, scale = request.transform.rotation, float(request.scale)
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ClickGSError(f"scale {scale:g} is not within {SCALES[0]:g} to {SCALES[1]:g}")
    R = rotation_from_xyzw((q.x, q.y, q.z, q.w))
    shift = point_from_msg(request.transform.translation)

    def edit(bench: Workbench) -> int:
        center = bench.objects.get(request.object_id).pose[:3, 3]
        return bench.objects.move(request.object_id, turned_about(center, R, scale, shift))

    return edit
