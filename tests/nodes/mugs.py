# SPDX-License-Identifier: Apache-2.0
"""A mug whose parts are known, and the messages about it."""

from types import SimpleNamespace

import torch
from std_msgs.msg import Header

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.clouds import cloud_from_gaussians
from ros2_clickgs.msg import SegmentedObject
from ros2_clickgs.nodes.conversions.clouds import msg_from_points, points_from_cloud
from ros2_clickgs.scenes.tabletop import make_object

CLASSES = ["background", "handle", "inside"]
MUG = 3


def a_mug():
    """Return a mug's Gaussians, its cloud, the true class of each point, views of it."""
    scene = make_object("mug", 1, count=5000)
    views = torch.stack([camera.center for camera in scene.cameras])
    ids = torch.full((len(scene.gaussians),), MUG, dtype=torch.int32)
    cloud = cloud_from_gaussians(make_rasterizer(scene.gaussians), ids, ids.float(), views)
    labels = torch.zeros_like(ids)
    for i, name in enumerate(CLASSES[1:], 1):
        labels[scene.part_labels == scene.part_id("mug", name)] = i
    return SimpleNamespace(
        gaussians=scene.gaussians, cloud=cloud, labels=labels, cameras=scene.cameras
    )


def object_msg(mug, *, revision=1, name="mug", rows=slice(None), settled=True):
    """Return the message of a mug, or of a part of it."""
    header = Header(frame_id="map")
    return SegmentedObject(
        header=header,
        id=MUG,
        name=name,
        revision=revision,
        settled=settled,
        cloud=msg_from_points(points_from_cloud(mug.cloud)[rows], header),
    )
