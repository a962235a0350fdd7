# SPDX-License-Identifier: Apache-2.0
"""Masks of posed views vote on the Gaussians that painted them: the whole method, without ROS.

python examples/01_votes_from_masks.py
"""

from pathlib import Path

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.rendering import render, render_labels
from ros2_clickgs.core.votes import Votes, cast_votes, decide_labels
from ros2_clickgs.io.images import write_image
from ros2_clickgs.io.maps import save_map
from ros2_clickgs.scenes.tabletop import make_tabletop

out = Path("out")
out.mkdir(exist_ok=True)
scene = make_tabletop(seed=0)
rasterizer = make_rasterizer(scene.gaussians)
object_count = len(scene.object_names) - 1

# Five views, each with a label image: here the ground truth, on a robot whatever segments images.
votes = Votes.none(object_count, len(scene.gaussians))
for camera in scene.cameras[::12]:
    label_image = render_labels(rasterizer, camera, scene.object_labels)
    votes = votes + cast_votes(rasterizer, camera, label_image, object_count)

labels = decide_labels(votes)
mug = scene.object_id("mug")
print(f"the mug: {int((labels == mug).sum())} of {len(labels)} Gaussians")

save_map(out / "mug.ply", scene.gaussians.select(labels == mug))
without = make_rasterizer(scene.gaussians.select(labels != mug))
picture = render(without, scene.cameras[0]).color
write_image(out / "without_mug.png", (picture * 255).byte().numpy())
print(f"wrote {out / 'mug.ply'} and {out / 'without_mug.png'}")
