# SPDX-License-Identifier: Apache-2.0
"""`clickgs move` and `recolor`: what they change, what they leave, and how they refuse."""

import json

import pytest
import torch

from ros2_clickgs.cli import main
from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.io.labels import Labels, load_labels, save_labels
from ros2_clickgs.io.maps import load_map, map_sha256, save_map
from tests.test_cli import floor_and_cube


@pytest.fixture
def scene(tmp_path):
    """Return a map with a cube, the arguments that name it, and which rows are the cube's."""
    gaussians, is_cube = floor_and_cube()
    map_path, labels = tmp_path / "map.ply", tmp_path / "L.npz"
    save_map(map_path, gaussians)
    known = Labels(labels=is_cube.int(), names=["cube"], map_sha256=map_sha256(map_path))
    save_labels(labels, known)
    out = tmp_path / "out.ply"
    words = [map_path, "--labels", labels, "--object", "cube", "--out", out]
    return load_map(map_path), is_cube, words, out


def run(command, *words) -> int:
    return main([command, *map(str, words)])


def test_moved_object_is_elsewhere_and_the_rest_is_as_it_was(scene, capsys):
    before, is_cube, words, out = scene
    code = run("move", *words, "--shift", 0.1, 0, 0, "--turn", 0, 0, 90, "--scale", 2, "--json")
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    after = load_map(out)
    assert torch.equal(after.means[~is_cube], before.means[~is_cube])
    low, high = before.means[is_cube].aminmax(dim=0)
    x, y, z = (before.means[is_cube] - (low + high) / 2).T
    expected = 2 * torch.stack([-y, x, z], dim=1) + (low + high) / 2 + torch.tensor([0.1, 0, 0])
    assert torch.allclose(after.means[is_cube], expected, atol=1e-3)
    assert torch.allclose(after.scales[is_cube], 2 * before.scales[is_cube], rtol=1e-5)
    assert report["gaussians"] == int(is_cube.sum())
    kept = load_labels(report["labels"], map_sha256(out))
    assert torch.equal(kept.labels == 1, is_cube)


def test_recoloured_object_has_the_tint(scene):
    before, is_cube, words, out = scene
    assert run("recolor", *words, "--rgb", 0, 1, 0, "--mix", 0.5) == 0
    after = load_map(out)
    half = (rgb_from_sh(before.sh[is_cube]) + torch.tensor([0.0, 1.0, 0.0])) / 2
    assert torch.allclose(rgb_from_sh(after.sh[is_cube]), half, atol=1e-4)
    assert torch.equal(after.sh[~is_cube], before.sh[~is_cube])
    assert torch.equal(after.means, before.means)


@pytest.mark.parametrize(
    ("command", "words", "told"),
    [
        ("move", ["--scale", 0], "--scale"),
        ("move", ["--scale", "nan"], "--scale"),
        ("move", ["--shift", "inf", 0, 0], "--shift"),
        ("recolor", ["--rgb", 0, 2, 0], "--rgb"),
        ("recolor", ["--rgb", 0, 1, 0, "--mix", -1], "--mix"),
        ("recolor", [], "Missing from clickgs recolor: --rgb"),
    ],
)
def test_bad_numbers_are_refused(scene, capsys, command, words, told):
    assert run(command, *scene[2], *words) == 2
    assert told in capsys.readouterr().err
    assert not scene[3].exists()
