# SPDX-License-Identifier: Apache-2.0
"""One click in one image finds the object in the map: its Gaussians, its box, its cloud.

python examples/02_click_to_object.py
"""

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clicking import Click, lift_pixel, rendered_image, segment_clicks
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.scenes.tabletop import make_tabletop

scene = make_tabletop(seed=0)
rasterizer = make_rasterizer(scene.gaussians)
images = [rendered_image(rasterizer, camera) for camera in scene.cameras[::8]]

# A person would click with the mouse; here the pixel is that of the apple's centre.
apple = scene.gaussians.means[scene.object_labels == scene.object_id("apple")].mean(0)
u, v, _ = project(images[0].camera, apple[None])[0].tolist()
click = Click(lift_pixel(rasterizer, images[0].camera, u, v))

object_map = ObjectMap(rasterizer)
found = segment_clicks(object_map, ClassicalSegmenter(), images, [click], name="apple")
print(f"{found.name}: {len(found.gaussian_ids)} Gaussians, seen by {found.view_count} views")
print(f"score {found.score:.2f}, box {[round(x, 3) for x in found.size.tolist()]} m")
print(f"centre {[round(x, 3) for x in found.pose[:3, 3].tolist()]} m in the map")
print(f"cloud of {len(object_map.cloud(found.id))} points with colours and normals")
