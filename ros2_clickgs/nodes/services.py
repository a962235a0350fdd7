# SPDX-License-Identifier: Apache-2.0
"""The segmenter's services on objects: convert, let the worker answer, convert."""

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import ReentrantCallbackGroup
from std_srvs.srv import Trigger

from ros2_clickgs.core.objects import SegmentedObject as CoreObject
from ros2_clickgs.core.posed_image import PosedImage, rendered_image
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, NotFoundError, ShapeError
from ros2_clickgs.msg import Click as ClickMsg
from ros2_clickgs.msg import ObjectMask, SegmentedObject
from ros2_clickgs.nodes.conversions.geometry import nanoseconds_from_msg, point_from_msg
from ros2_clickgs.nodes.conversions.masks import MaskOwner, msg_from_mask
from ros2_clickgs.nodes.edit_services import EditServices
from ros2_clickgs.nodes.inputs import Inputs
from ros2_clickgs.nodes.map_services import MapServices
from ros2_clickgs.nodes.pictures import seen_labels
from ros2_clickgs.nodes.trained_features import Pixel
from ros2_clickgs.nodes.workbench import Workbench
from ros2_clickgs.srv import (
    EditObject,
    ExportMap,
    LoadSession,
    MergeObjects,
    PruneMap,
    Refine,
    RemoveObject,
    RenameObject,
    RenderView,
    SaveSession,
    SegmentPixel,
    SegmentPoint,
)

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode


class Services:
    """Offers the services; many may be waiting for the worker at once."""

    def __init__(self, node: "SegmenterNode", inputs: Inputs) -> None:
        self.node = node
        self._inputs = inputs
        maps, edits = MapServices(node, inputs), EditServices(node)
        group = ReentrantCallbackGroup()
        offered = {
            "segment_point": (SegmentPoint, self.segment_point),
            "segment_pixel": (SegmentPixel, self.segment_pixel),
            "refine": (Refine, self.refine),
            "remove_object": (RemoveObject, self.remove_object),
            "rename_object": (RenameObject, self.rename_object),
            "merge_objects": (MergeObjects, self.merge_objects),
            "clear": (Trigger, self.clear),
            "edit_object": (EditObject, edits.edit_object),
            "prune_map": (PruneMap, edits.prune_map),
            "save_session": (SaveSession, edits.save_session),
            "load_session": (LoadSession, edits.load_session),
            "export_map": (ExportMap, maps.export_map),
            "render_view": (RenderView, maps.render_view),
        }
        self._services = [
            node.create_service(kind, f"~/{name}", self._told(name, method), callback_group=group)
            for name, (kind, method) in offered.items()
        ]

    def close(self) -> None:
        """Withdraw the services."""
        for service in self._services:
            self.node.destroy_service(service)

    def _told(self, name: str, method: Callable[..., Awaitable[str]]) -> Callable:
        """Return the callback that tells success and message, whatever a method raises of ours."""

        async def callback(request: Any, response: Any) -> Any:
            self.node.diagnostics.received(name)
            try:
                response.message = await method(request, response)
                response.success = True
            except ClickGSError as error:
                self.node.drop(name, error)
                response.message = str(error)
            return response

        return callback

    async def segment_point(
        self, request: SegmentPoint.Request, response: SegmentPoint.Response
    ) -> str:
        """Clicks in space to an object."""
        how = {"method": request.method, "level": request.level}
        points = [self._inputs.map_frame.point(point) for point in request.points]
        signs = signs_of(request.positive, len(points))
        clicks = [Click(point, sign) for point, sign in zip(points, signs, strict=True)]

        def work(bench: Workbench) -> SegmentedObject:
            found = bench.click(clicks, object_id=request.object_id, name=request.name, **how)
            return self._msg(bench, found)

        response.object = await self.node.answer(work, changes=True)
        if request.settle:
            response.object = await self._settled(response.object.id)
        return told(response.object)

    async def segment_pixel(
        self, request: SegmentPixel.Request, response: SegmentPixel.Response
    ) -> str:
        """Clicks in a picture to an object."""
        how = {"method": request.method, "level": request.level}
        if request.box.width:
            raise ClickGSError("a box is not understood yet; send pixels on the object instead")
        pixels = [point_from_msg(pixel).tolist()[:2] for pixel in request.pixels]
        signs = signs_of(request.positive, len(pixels))
        view_of = self._view(request)

        def work(bench: Workbench) -> tuple[SegmentedObject, Any]:
            view = view_of(bench)
            clicks = [bench.click_in(view, *uv, s) for uv, s in zip(pixels, signs, strict=True)]
            found = bench.click(
                clicks,
                object_id=request.object_id,
                name=request.name,
                pixels=[Pixel(view.camera, *uv) for uv in pixels],
                first=view,
                **how,
            )
            if bench.features.query(request.method) is not None:
                return self._msg(bench, found), ObjectMask()
            return self._msg(bench, found), mask_in(bench, found, view)

        response.object, response.mask = await self.node.answer(work, changes=True)
        if request.settle:
            response.object = await self._settled(response.object.id)
        return told(response.object)

    async def refine(self, request: Refine.Request, response: Refine.Response) -> str:
        """More clicks on an object, more views of it, a weight of its own; or take them back."""
        object_id, weight = request.object_id, float(request.background_weight)
        if not weight < math.inf:
            raise ClickGSError(f"background_weight {weight} is not finite; send a number")
        places = [] if request.undo else [self._click(click) for click in request.clicks]

        def work(bench: Workbench) -> SegmentedObject:
            if request.undo:
                bench.looks.forget(object_id)
                bench.objects.take_back(object_id)
            else:
                clicks = [place(bench) for place in places]
                bench.refine(object_id, clicks, weight, request.more_views)
            return self._msg(bench, bench.objects.get(object_id))

        if not object_id:
            raise NotFoundError("object", 0, "those on ~/objects; segment_point makes new ones")
        response.object = await self.node.answer(work, changes=True)
        return told(response.object)

    async def remove_object(self, request: RemoveObject.Request, response: Any) -> str:
        """Forget an object."""
        await self.node.answer(lambda bench: bench.objects.remove(request.object_id), changes=True)
        return f"object {request.object_id} is forgotten"

    async def rename_object(self, request: RenameObject.Request, response: Any) -> str:
        """Give an object a name."""
        object_id, name = request.object_id, request.name
        await self.node.answer(lambda bench: bench.objects.rename(object_id, name), changes=True)
        return f"object {object_id} is called {name!r}"

    async def merge_objects(
        self, request: MergeObjects.Request, response: MergeObjects.Response
    ) -> str:
        """Make one object of several."""
        ids = list(request.object_ids)

        def work(bench: Workbench) -> SegmentedObject:
            return self._msg(bench, bench.merge(ids, request.name))

        response.object = await self.node.answer(work, changes=True)
        return told(response.object)

    async def clear(self, request: Trigger.Request, response: Any) -> str:
        """Forget all objects."""
        await self.node.answer(lambda bench: bench.objects.clear(), changes=True)
        return "all objects are forgotten"

    def _msg(self, bench: Workbench, found: CoreObject) -> SegmentedObject:
        bench.session.touch()
        return self.node.outputs.object_msg(bench, found.id)

    async def _settled(self, object_id: int) -> SegmentedObject:
        """Return an object once it is no longer looked at; other requests are answered between."""

        def look_on(bench: Workbench) -> bool:
            is_pending = bench.looks.is_pending(object_id)
            if is_pending:
                bench.looks.go_on(object_id)
            return is_pending

        while await self.node.answer(look_on, changes=True):
            pass
        return await self.node.answer(
            lambda bench: self.node.outputs.object_msg(bench, object_id), changes=False
        )

    def _view(self, request: SegmentPixel.Request) -> Callable[[Workbench], PosedImage]:
        """Return how the worker gets the picture that was clicked in."""
        if request.view_camera.width:
            camera = self._inputs.virtual_camera(request.view_camera, request.view_pose)
            return lambda bench: rendered_image(bench.rasterizer, camera)
        return self._live_view(request.header)

    def _live_view(self, header: Any) -> Callable[[Workbench], PosedImage]:
        """Return how the worker gets the live image with a header; a zero stamp is the newest."""
        stamp_ns = nanoseconds_from_msg(header.stamp)
        if not stamp_ns:
            return lambda bench: bench.newest_view(header.frame_id)
        camera: Camera = self._inputs.cameras.at(header)
        return lambda bench: bench.view_at(camera, stamp_ns)

    def _click(self, msg: ClickMsg) -> Callable[[Workbench], Click]:
        """Return how the worker gets a click in space or in a picture."""
        if msg.kind == ClickMsg.POINT:
            click = Click(self._inputs.map_frame.in_map(msg.position, msg.header), msg.positive)
            return lambda bench: click
        if msg.kind != ClickMsg.PIXEL:
            raise NotFoundError("kind of click", msg.kind, "POINT (0), PIXEL (1)")
        u, v, _ = point_from_msg(msg.position).tolist()
        view_of = self._live_view(msg.header)
        return lambda bench: bench.click_in(view_of(bench), u, v, msg.positive)


def signs_of(positive: list[bool], count: int) -> list[bool]:
    """Return one sign per click; none given means all are on the object.

    Raises:
        ShapeError: there are signs, but not one per click.
    """
    if positive and len(positive) != count:
        raise ShapeError("positive", expected=f"empty or {count} signs", actual=len(positive))
    return list(positive) or [True] * count


def mask_in(bench: Workbench, found: CoreObject, view: PosedImage) -> ObjectMask:
    """Return where an object is seen in a view."""
    mask = seen_labels(bench, view.camera) == found.id
    return msg_from_mask(mask, MaskOwner(found.id, found.name, found.score))


def told(found: SegmentedObject) -> str:
    """Return an object in a few words."""
    return f"object {found.id} {found.name!r}: {found.gaussian_count} Gaussians"
