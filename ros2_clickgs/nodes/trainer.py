# SPDX-License-Identifier: Apache-2.0
"""Node `trainer`: posed images in, features on the map out: clicks then need no 2D network."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from jaxtyping import UInt8
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ros2_clickgs.config import MapConfig, TrainerConfig
from ros2_clickgs.core.similarity import Similarity
from ros2_clickgs.errors import ClickGSError, ConfigError
from ros2_clickgs.nodes.conversions.images import msg_from_image
from ros2_clickgs.nodes.keyframes import Frame, Keyframes
from ros2_clickgs.nodes.lifecycle import ClickGSNode
from ros2_clickgs.nodes.live_images import LiveImages
from ros2_clickgs.nodes.qos import LATCHED, RELIABLE
from ros2_clickgs.nodes.train_action import TrainAction
from ros2_clickgs.nodes.training_job import LiveView
from ros2_clickgs.nodes.workbench import similarity_from

if TYPE_CHECKING:
    from ros2_clickgs.nodes.segmenter import SegmenterNode

DIAGNOSTICS_PERIOD_S = 1.0
SHARED = tuple(f.name for f in fields(MapConfig) if f.name != "autostart")
"""Parameters that are the segmenter's in one process with it."""


class TrainerNode(ClickGSNode):
    """Costs nothing until a goal comes; then a process trains (training.py).

    In one process with the segmenter its map and its keyframes are used. Alone, it collects
    keyframes itself. Either way the segmenter finds the features in the map's features file.
    """

    def __init__(self, segmenter: "SegmenterNode | None" = None, **kwargs: Any) -> None:
        super().__init__("trainer", TrainerConfig, **kwargs)
        self._segmenter = segmenter
        self._action: TrainAction | None = None

    @property
    def map_config(self) -> TrainerConfig:
        """The parameters, those of the map as the segmenter beside has them.

        Raises:
            ClickGSError: it is not configured.
        """
        if self._segmenter is None:
            return self.config
        if self._segmenter.config is None:
            raise ClickGSError("the segmenter beside the trainer is not configured; configure it")
        return replace(self.config, **shared(self._segmenter.config))

    @property
    def map_from_file(self) -> Similarity:
        """Where the map file's frame lies in the map frame."""
        return similarity_from(self.map_config.map_to_splat)

    @property
    def training_pid(self) -> int:
        """Of the process that trains; 0 while none does."""
        return self._action.pid if self._action else 0

    def configure(self) -> None:
        """Look for the map, if no segmenter beside has done so."""
        path = self.config.map_path
        if self._segmenter is None and not Path(path).expanduser().is_file():
            raise ConfigError("map_path", path, "the path of a 3DGS map that is there")
        self._preview = self.create_publisher(Image, "~/preview", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)

    def activate(self) -> None:
        """Offer the action; alone, begin to collect keyframes."""
        self._keyframes = Keyframes(self.config.keyframes)
        is_alone = self._segmenter is None
        self._images = LiveImages(self, self._keyframes.add) if is_alone else None
        self._timer = self.create_timer(DIAGNOSTICS_PERIOD_S, self._report)
        self._action = TrainAction(self)

    def deactivate(self) -> None:
        """End the training in hand; its checkpoint stays."""
        if self._action is None:
            return
        self.destroy_timer(self._timer)
        if self._images is not None:
            self._images.close()
        self._action.close(self.patience_s)
        self._action = None

    def cleanup(self) -> None:
        """Stop publishing."""
        self.destroy_publisher(self._preview)
        self.destroy_publisher(self._diagnostics)

    def apply_live(self) -> None:
        """Take over live parameters."""
        if self._action is not None and self._images is not None:
            self._images.apply_live(self.config.max_pose_age_s)

    async def keyframes(self) -> list[LiveView]:
        """Return the keyframes of the live camera.

        Raises:
            ClickGSError: the segmenter, which has them, is not active.
        """
        if self._segmenter is None:
            frames = list(self._keyframes)
        else:
            frames = await self._segmenter.answer(lambda b: list(b.keyframes), changes=False)
        return [live_view(number, frame) for number, frame in enumerate(frames)]

    def is_preview_watched(self) -> bool:
        """Return whether somebody looks at the preview."""
        return self._preview.get_subscription_count() > 0

    def publish_preview(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        """Show what the features look like."""
        now = self.get_clock().now().to_msg()
        header = Header(stamp=now, frame_id=self.map_config.map_frame)
        self._preview.publish(msg_from_image(image, header))

    def _report(self) -> None:
        now = self._action.progress
        facts = {
            "keyframes": len(self._keyframes) if self._images else "the segmenter's",
            "stage": now.stage if self.training_pid else "idle",
            "iteration": f"{now.iteration} of {now.iterations}",
            "coarse clusters": now.coarse_clusters,
            "fine clusters": now.fine_clusters,
        }
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(self.diagnostics.report(stamp, facts))


def shared(config: MapConfig) -> dict[str, Any]:
    """Return the parameters of the map."""
    return {name: getattr(config, name) for name in SHARED}


def live_view(number: int, frame: Frame) -> LiveView:
    """Return a keyframe as what a training takes."""
    return LiveView(
        name=f"keyframe_{number:04d}", camera=frame.posed.camera, image=frame.posed.image
    )
