# SPDX-License-Identifier: Apache-2.0
"""The segmenter's services on the map: pictures of it, and files."""

from typing import TYPE_CHECKING, Any

from std_msgs.msg import Header

from ros2_clickgs.io.maps import map_sha256
from ros2_clickgs.nodes.conversions.images import msg_from_depth, msg_from_image, msg_from_labels
from ros2_clickgs.nodes.files import export, export_labels, path_below, rows_of
from ros2_clickgs.nodes.inputs import Inputs
from ros2_clickgs.nodes.pictures import Picture, picture
from ros2_clickgs.nodes.trained_features import feature_picture
from ros2_clickgs.nodes.workbench import Workbench
from ros2_clickgs.srv import ExportMap, RenderView

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode


class MapServices:
    """render_view, export_map."""

    def __init__(self, node: "SegmenterNode", inputs: Inputs) -> None:
        self.node = node
        self._inputs = inputs

    async def render_view(self, request: RenderView.Request, response: RenderView.Response) -> str:
        """Return pictures of the map from anywhere."""
        camera = self._inputs.virtual_camera(request.camera_info, request.pose)
        only, without = list(request.only_object_ids), list(request.without_object_ids)

        def work(bench: Workbench) -> tuple[Picture, Any]:
            rows = rows_of(bench, only, invert=False)
            rows &= rows_of(bench, without, invert=True) if without else True
            features = feature_picture(bench, camera) if request.with_features else None
            return picture(bench, camera, rows), features

        shown, features = await self.node.answer(work, changes=False)
        header = Header(
            stamp=request.pose.header.stamp, frame_id=request.camera_info.header.frame_id
        )
        if request.with_color:
            response.color = msg_from_image(shown.color, header)
        if request.with_depth:
            response.depth = msg_from_depth(shown.depth, header)
        if request.with_labels:
            response.labels = msg_from_labels(shown.labels, header)
        if request.with_features:
            response.features = msg_from_image(features, header)
        return f"rendered {camera.width}x{camera.height} px"

    async def export_map(self, request: ExportMap.Request, response: ExportMap.Response) -> str:
        """Write the map or some of its objects to a file."""
        path = path_below(self.node.config.session_dir, request.path)
        ids = list(request.object_ids)

        def work(bench: Workbench) -> int:
            rows = rows_of(bench, ids, invert=request.invert)
            count = export(bench, path, rows, overwrite=request.overwrite)
            if request.with_labels:
                export_labels(bench, path, rows)
            return count

        response.gaussian_count = await self.node.answer(work, changes=False)
        response.path, response.map_sha256 = str(path), map_sha256(path)
        return f"wrote {response.gaussian_count} Gaussians to {path}"
