# SPDX-License-Identifier: Apache-2.0
"""The two blobs as a folder that can be trained on, and a client of the action."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter

from ros2_clickgs.action import TrainFeatures
from ros2_clickgs.core.clicking import rendered_image
from ros2_clickgs.io.cameras import View, save_transforms
from ros2_clickgs.io.images import write_image, write_label_image
from ros2_clickgs.io.maps import save_map
from ros2_clickgs.nodes.trainer import TrainerNode
from tests.core.blobs import blob_map
from tests.core.features.training_scene import blob_rasterizer, blob_views
from tests.nodes.robot import Robot

ITERATIONS = 90
FAST = {
    "pixels_per_iteration": 600,
    "checkpoint_every": 20,
    "feedback_period_s": 0.0,
    "preview_period_s": 0.1,
    "threads": 1,
}
"""Parameters of a trainer whose training lasts seconds."""


def make_training_world(folder: Path) -> None:
    """Write map.ply, transforms.json, images/ and masks/ of two levels."""
    rasterizer = blob_rasterizer()
    save_map(folder / "map.ply", blob_map())
    (folder / "masks").mkdir()
    (folder / "images").mkdir()
    views = []
    for i, view in enumerate(blob_views(rasterizer)):
        image = folder / "images" / f"{i:04d}.png"
        write_image(image, rendered_image(rasterizer, view.camera).image)
        views.append(View(name=f"{i:04d}", camera=view.camera, image_path=image))
        for level in ("coarse", "fine"):
            labels = getattr(view, level).numpy()
            write_label_image(folder / "masks" / f"{i:04d}.{level}.png", labels)
    save_transforms(folder / "transforms.json", views)


class TrainingClient:
    """Sends goals, collects their feedback."""

    def __init__(self, node: Node, wait: Callable[..., None]) -> None:
        """Find the server; `wait` spins the node until something is so."""
        self._wait = wait
        self._client = ActionClient(node, TrainFeatures, "trainer/train_features")
        wait(self._client.server_is_ready)
        self.feedback: list[TrainFeatures.Feedback] = []

    def send(self, **goal: Any) -> Any:
        """Return the handle of an accepted goal."""
        asked = TrainFeatures.Goal(**goal)
        future = self._client.send_goal_async(
            asked, feedback_callback=lambda msg: self.feedback.append(msg.feedback)
        )
        self._wait(future.done)
        assert future.result().accepted
        return future.result()

    def result(self, handle: Any) -> tuple[int, TrainFeatures.Result]:
        """Wait for a goal's end; return its status and result."""
        future = handle.get_result_async()
        self._wait(future.done, 120)
        return future.result().status, future.result().result

    def reached(self, iteration: int) -> None:
        """Wait until a training has come so far."""
        self._wait(lambda: any(f.iteration >= iteration for f in self.feedback), 120)

    def cancel(self, handle: Any) -> None:
        """Cancel a goal."""
        future = handle.cancel_goal_async()
        self._wait(future.done)


class TrainingRobot(Robot):
    """A robot whose trainer runs beside its segmenter."""

    def __init__(self, folder: Path, session_dir: Path, **parameters: Any) -> None:
        """Make the nodes; `parameters` are the trainer's."""
        super().__init__(
            map_path=str(folder / "map.ply"), session_dir=str(session_dir), session=""
        )
        wanted = FAST | parameters
        overrides = [Parameter(name, value=value) for name, value in wanted.items()]
        self.trainer = TrainerNode(self.segmenter, parameter_overrides=overrides)

    def __enter__(self) -> "TrainingRobot":
        super().__enter__()
        self.executor.add_node(self.trainer)
        self.trainer.start()
        self.training = TrainingClient(self.peer, self.wait)
        return self

    def __exit__(self, *exception: object) -> None:
        self.trainer.close()
        super().__exit__(*exception)
        self.trainer.destroy_node()
