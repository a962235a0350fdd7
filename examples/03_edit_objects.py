# SPDX-License-Identifier: Apache-2.0
"""Move, delete and tint objects in the map, take it all back, and keep it in a session.

python examples/03_edit_objects.py [FOLDER FOR PICTURES]
"""

import math
import sys
import tempfile
from pathlib import Path

import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.editing import turned_about
from ros2_clickgs.core.geometry import rotmat_from_quat_wxyz
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.rendering import render, render_labels
from ros2_clickgs.io.images import write_image
from ros2_clickgs.io.sessions import Journal, SessionMap, load_session
from ros2_clickgs.scenes.tabletop import make_tabletop

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
scene = make_tabletop(seed=0)
objects = ObjectMap(make_rasterizer(scene.gaussians))
ids = {name: objects.create(name) for name in scene.object_names[1:]}
for camera in scene.cameras[::3]:  # here ground truth votes; a robot would click
    labels = render_labels(objects.rasterizer, camera, scene.object_labels)
    objects.integrate(camera, labels, list(ids.values()))


def picture(name: str) -> None:
    """Write what the first camera sees of the map as it is now."""
    color = render(objects.rasterizer, scene.cameras[0]).color
    write_image(folder / f"edit_{name}.png", (color * 255).round().byte().numpy())


# Whatever happens to the objects from here on is written down, and on the disk at once.
about = SessionMap(sha256="", gaussian_count=len(scene.gaussians), map_to_splat=())
journal = Journal(Path(tempfile.mkdtemp()) / "tabletop.session", about)
objects.record = lambda operation: journal.append([operation])

picture("before")
bottle = objects.get(ids["bottle"])
turn = rotmat_from_quat_wxyz(torch.tensor([math.sqrt(0.5), math.sqrt(0.5), 0, 0]).double())
shift = torch.tensor([0.0, 0.0, 0.15])
objects.move(bottle.id, turned_about(bottle.pose[:3, 3], turn, scale=1.3, shift=shift))
picture("moved")
objects.recolor(ids["bowl"], rgb=torch.tensor([0.1, 0.8, 0.2]), mix=0.7)
picture("recoloured")
count = objects.delete(ids["cereal_box"])
picture("deleted")
print(f"{count} Gaussians deleted; pictures in {folder}")

while objects.state.done:
    objects.undo()
same = objects.rasterizer.gaussians
print("all undone, bit for bit:", torch.equal(same.means, scene.gaussians.means))
print(
    "in the journal:", ", ".join(operation.name for operation in load_session(journal.path, about))
)
