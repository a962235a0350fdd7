# SPDX-License-Identifier: Apache-2.0
"""What the built-in scenes promise: same bytes, whole labels, things that stand as they should."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull, cKDTree

from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.errors import NotFoundError
from ros2_clickgs.scenes.layout import CAST, TOUCHING
from ros2_clickgs.scenes.room import TABLE_HEIGHT, TABLE_SIZE
from ros2_clickgs.scenes.scene import Scene
from ros2_clickgs.scenes.tabletop import MAKERS, make_object, make_tabletop, make_thing
from tests.scenes.conftest import COUNT

TENSORS = ("means", "quats", "scales", "opacities", "sh")


def points_of(scene: Scene, name: str) -> np.ndarray:
    return scene.gaussians.means[scene.object_labels == scene.object_id(name)].numpy()


def test_the_same_seed_gives_the_same_bytes():
    first, second = make_tabletop(5, 20_000), make_tabletop(5, 20_000)
    for name in TENSORS:
        assert torch.equal(getattr(first.gaussians, name), getattr(second.gaussians, name))
    assert torch.equal(first.part_labels, second.part_labels)
    for a, b in zip(first.cameras, second.cameras, strict=True):
        assert torch.equal(a.T_world_camera, b.T_world_camera)


def test_another_seed_gives_other_instances():
    sizes = {
        tuple(np.ptp(make_object("mug", s, 500).gaussians.means.numpy(), 0)) for s in range(5)
    }
    assert len(sizes) == 5


def test_counts_and_ranges(scene):
    gaussians = scene.gaussians
    assert len(gaussians) == len(scene.object_labels) == len(scene.part_labels) == COUNT
    assert gaussians.sh.shape == (COUNT, 4, 3)
    assert len(scene.cameras) == 60
    for name in TENSORS:
        assert torch.isfinite(getattr(gaussians, name)).all()
    assert (gaussians.scales > 0).all()
    assert gaussians.opacities.min() > 0
    assert gaussians.opacities.max() < 1
    torch.testing.assert_close(gaussians.quats.norm(dim=1), torch.ones(COUNT))


def test_labels_are_whole(scene):
    """Every object and every part has Gaussians, and a part belongs to its object."""
    assert len(scene.object_names) == len(CAST) + 1 == 15
    assert torch.equal(scene.object_labels.unique(), torch.arange(15, dtype=torch.int32))
    parts = torch.arange(len(scene.part_names), dtype=torch.int32)
    assert torch.equal(scene.part_labels.unique(), parts)
    owner = torch.tensor(scene.part_object, dtype=torch.int32)
    assert torch.equal(owner[scene.part_labels.long()], scene.object_labels)
    assert set(scene.part_object) == set(range(15))


@pytest.mark.parametrize(
    ("thing", "part"),
    [
        ("mug", "handle"), ("mug_2", "inside"), ("bowl", "inside"), ("hammer", "head"),
        ("hammer", "handle"), ("knife", "blade"), ("bottle", "neck"), ("bottle", "cap"),
        ("screwdriver", "shaft"), ("spoon", "scoop"),
    ],
)  # fmt: skip
def test_affordance_parts_have_names(one_scene, thing, part):
    number = one_scene.part_id(thing, part)
    assert one_scene.part_names[number] == part
    assert (one_scene.part_labels == number).sum() > 20


def test_things_stand_on_the_table(scene):
    for name in CAST:
        points = points_of(scene, name)
        assert abs(points[:, 2].min() - TABLE_HEIGHT) < 0.004
        assert (np.abs(points[:, :2]) < np.array(TABLE_SIZE) / 2).all()


def test_no_two_things_share_space(scene, seed):
    """No point of a thing's surface lies inside the convex hull of another one."""
    places = {}
    for name in CAST:
        pose = scene.object_poses[scene.object_id(name)].numpy()
        points = make_thing(name, seed).points()[::5]
        places[name] = points @ pose[:3, :3].T + pose[:3, 3]
    hulls = {name: ConvexHull(points).equations for name, points in places.items()}
    for a, b in itertools.permutations(CAST, 2):
        depths = -(places[a] @ hulls[b][:, :3].T + hulls[b][:, 3]).max(1)
        assert depths.max() < 0, (a, b)


def test_pairs_touch(scene):
    for name, partner in TOUCHING.items():
        distances, _ = cKDTree(points_of(scene, partner)).query(points_of(scene, name))
        assert distances.min() < 0.005, (name, partner)


def test_mugs_share_their_colour(scene):
    def handle_color(name: str) -> torch.Tensor:
        mine = scene.part_labels == scene.part_id(name, "handle")
        color = rgb_from_sh(scene.gaussians.sh[mine]).mean(0)
        return color / color.sum()

    torch.testing.assert_close(handle_color("mug"), handle_color("mug_2"), atol=0.04, rtol=0)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_one_thing_alone_is_that_of_the_tabletop(one_scene, kind):
    alone = make_object(kind, 4, 2000)
    pose = one_scene.object_poses[one_scene.object_id(kind)].numpy()
    there = (points_of(one_scene, kind) - pose[:3, 3]) @ pose[:3, :3]
    np.testing.assert_allclose(
        np.ptp(there, 0), np.ptp(alone.gaussians.means.numpy(), 0), atol=0.01
    )


def test_unknown_kind():
    with pytest.raises(NotFoundError, match="no kind of object 'sofa'"):
        make_object("sofa", 0)
