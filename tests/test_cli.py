# SPDX-License-Identifier: Apache-2.0
"""Every command on a tiny map: what it writes, prints and returns, and how it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.cli import main
from ros2_clickgs.core.fusion import flat_gaussians
from ros2_clickgs.core.geometry import look_at
from ros2_clickgs.core.rendering import render
from ros2_clickgs.core.segmenter import Mask
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.io.cameras import View, save_transforms
from ros2_clickgs.io.images import (
    read_depth,
    read_image,
    read_label_image,
    write_depth,
    write_image,
    write_label_image,
)
from ros2_clickgs.io.labels import load_labels
from ros2_clickgs.io.maps import load_map, map_sha256, save_map

SPACING_M = 0.02
FLOOR_M, CUBE_M = 0.6, 0.12


def plate(side_m: float, normal: torch.Tensor, center: torch.Tensor, rgb) -> Gaussians:
    steps = torch.arange(-side_m / 2 + SPACING_M / 2, side_m / 2, SPACING_M)
    a, b = torch.meshgrid(steps, steps, indexing="ij")
    other = normal.roll(1)
    points = a.reshape(-1, 1) * other + b.reshape(-1, 1) * torch.linalg.cross(normal, other)
    count = len(points)
    return flat_gaussians(
        points + center, normal.expand(count, 3), torch.tensor(rgb).expand(count, 3), SPACING_M
    )


def floor_and_cube() -> tuple[Gaussians, torch.Tensor]:
    """Return a white floor with a red cube on it, and which Gaussians are the cube's."""
    x, y, z = torch.eye(3)
    middle = z * CUBE_M / 2
    plates = [plate(FLOOR_M, z, 0 * z, (0.8, 0.8, 0.8))]
    plates += [
        plate(CUBE_M, n, middle + n * CUBE_M / 2, (0.8, 0.1, 0.1)) for n in (x, -x, y, -y, z)
    ]
    names = ("means", "quats", "scales", "opacities", "sh")
    joined = Gaussians(**{n: torch.cat([getattr(p, n) for p in plates]) for n in names})
    return joined, torch.arange(len(joined)) >= len(plates[0])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SimpleNamespace:
    """Return a folder with map, cameras, images, depth and masks; the cube is label 1."""
    folder = tmp_path_factory.mktemp("world")
    gaussians, is_cube = floor_and_cube()
    save_map(folder / "map.ply", gaussians)
    rasterizer = make_rasterizer(gaussians, "numba")
    views = []
    for i in range(8):
        angle = 2 * np.pi * i / 8
        eye = torch.tensor([0.6 * np.cos(angle), 0.6 * np.sin(angle), 0.5])
        K = torch.tensor([[110.0, 0, 60], [0, 110, 45], [0, 0, 1]])
        pose = look_at(eye, torch.tensor([0, 0, 0.05]), torch.tensor([0.0, 0, 1]))
        camera = Camera(K=K, T_world_camera=pose, width=120, height=90)
        name = f"{i:04d}"
        paths = [folder / kind / f"{name}.png" for kind in ("images", "depth", "masks")]
        rendering = render(rasterizer, camera)
        mask = rasterizer.splat(camera, is_cube[:, None].float())[..., 0] > 0.5
        write_image(paths[0], (rendering.color * 255).byte().numpy())
        write_depth(paths[1], rendering.depth.numpy())
        write_label_image(paths[2], mask.int().numpy())
        views.append(View(name=name, camera=camera, image_path=paths[0], depth_path=paths[1]))
    save_transforms(folder / "transforms.json", views)
    return SimpleNamespace(
        folder=folder,
        map=str(folder / "map.ply"),
        cameras=str(folder / "transforms.json"),
        masks=str(folder / "masks"),
        is_cube=is_cube,
        camera=views[0].camera,
    )


@pytest.fixture(scope="module")
def labels(world) -> str:
    path = str(world.folder / "L.npz")
    args = ["--cameras", world.cameras, "--masks", world.masks, "--out", path]
    assert main(["segment", world.map, *args]) == 0
    return path


def refused(capsys, *words: object) -> str:
    """Return the one line that a command is refused with."""
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


def answered(capsys, *words: object) -> dict:
    """Return the JSON object that a command prints."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info_tells_what_the_file_holds(world, capsys):
    report = answered(capsys, "info", world.map)
    assert report["gaussians"] == len(world.is_cube)
    assert report["sha256"] == map_sha256(world.map)
    assert main(["info", world.map]) == 0
    assert f"gaussians       {len(world.is_cube)}\n" in capsys.readouterr().out


def test_render_writes_a_picture_of_every_view(world, labels, tmp_path, capsys):
    out = ["--out", tmp_path, "--labels", labels, "--depth"]
    report = answered(capsys, "render", world.map, "--cameras", world.cameras, *out)
    assert report["views"] == 8
    assert len(list(tmp_path.iterdir())) == 24
    truth = world.folder
    image, expected = (read_image(p / "0003.png") for p in (tmp_path, truth / "images"))
    assert np.abs(image.astype(int) - expected).max() <= 1
    depth = read_depth(tmp_path / "0003.depth.png")
    assert np.abs(depth - read_depth(truth / "depth" / "0003.png")).max() < 0.0015
    label_image = read_label_image(tmp_path / "0003.labels.png")
    differs = label_image != read_label_image(truth / "masks" / "0003.png")
    assert differs.mean() < 0.01


def test_segment_finds_the_cube(world, labels):
    found = load_labels(labels, map_sha256(world.map))
    seen = found.labels >= 0
    assert ((found.labels == 1) == world.is_cube)[seen].float().mean() > 0.95
    assert found.votes_for.shape == (1, len(world.is_cube))
    assert found.names == ["object_1"]


def test_robust_segmentation_withstands_masks_that_are_missing(world, tmp_path, capsys):
    shutil.copytree(world.masks, tmp_path / "masks")
    for name in ("0001", "0002", "0004", "0005", "0007"):
        write_label_image(tmp_path / "masks" / f"{name}.png", np.zeros((90, 120), np.int32))
    args = ["--cameras", world.cameras, "--masks", tmp_path / "masks", "--out", tmp_path / "L.npz"]
    right = []
    for flags in ([], ["--robust"]):
        answered(capsys, "segment", world.map, *args, *flags)
        found = load_labels(tmp_path / "L.npz", map_sha256(world.map))
        seen = found.labels >= 0
        right.append(float(((found.labels == 1) == world.is_cube)[seen].float().mean()))
    assert right[1] > 0.95 > right[0]


def test_segment_takes_every_kth_view(world, tmp_path, capsys):
    args = ["--cameras", world.cameras, "--masks", world.masks, "--every", 3]
    report = answered(capsys, "segment", world.map, *args, "--out", tmp_path / "L.npz")
    assert report["views"] == 3


def test_votes_do_not_depend_on_the_backend(world, tmp_path, capsys):
    args = ["--cameras", world.cameras, "--masks", world.masks, "--every", 8]
    for backend in ("numba", "reference"):
        out = ["--out", tmp_path / f"{backend}.npz", "--backend", backend]
        answered(capsys, "segment", world.map, *args, *out)
    sha256 = map_sha256(world.map)
    fast, slow = (load_labels(tmp_path / f"{b}.npz", sha256) for b in ("numba", "reference"))
    torch.testing.assert_close(fast.votes_for, slow.votes_for, rtol=1e-3, atol=1e-3)


def test_background_weight_makes_objects_smaller(world, labels, tmp_path, capsys):
    args = ["--cameras", world.cameras, "--masks", world.masks, "--background-weight", 1000]
    report = answered(capsys, "segment", world.map, *args, "--out", tmp_path / "L.npz")
    found = load_labels(labels, map_sha256(world.map)).labels
    assert 0 < report["labels"]["1"] < int((found == 1).sum())


def test_missing_masks_of_some_views_are_fine(world, tmp_path, capsys):
    (tmp_path / "0002.png").write_bytes((Path(world.masks) / "0002.png").read_bytes())
    args = ["--cameras", world.cameras, "--masks", tmp_path, "--out", tmp_path / "L.npz"]
    report = answered(capsys, "segment", world.map, *args)
    assert (report["views"], report["views_without_mask"]) == (1, 7)


def test_extract_and_delete_share_out_the_map(world, labels, tmp_path, capsys):
    counts = []
    for command, wanted in (("extract", "1"), ("delete", "object_1")):
        out = tmp_path / f"{command}.ply"
        args = ["--labels", labels, "--object", wanted, "--out", out]
        counts.append(answered(capsys, command, world.map, *args)["gaussians"])
        assert len(load_map(out)) == counts[-1]
    assert sum(counts) == len(world.is_cube)


def test_extracted_edges_are_cut_where_gaussians_lie_across(world, labels, tmp_path, capsys):
    out = ["--labels", labels, "--object", 1, "--out"]
    whole, cut = tmp_path / "whole.ply", tmp_path / "cut.ply"
    answered(capsys, "extract", world.map, *out, whole)
    answered(capsys, "extract", world.map, *out, cut, "--clean-edges")
    areas = [load_map(path).scales.sum() for path in (whole, cut)]
    assert len(load_map(cut)) == len(load_map(whole))
    assert 0.5 * areas[0] < areas[1] < areas[0]


class RedSegmenter:
    """Finds what is red in place of a 2D segmenter."""

    name = "red"

    def set_image(self, image, depth=None):
        self.red = (image[..., 0] > 100) & (image[..., 1] < 80)

    def predict(self, prompts):
        return [Mask(pixels=self.red, score=1.0) for _ in prompts]


@pytest.fixture
def _sees_red(monkeypatch):
    monkeypatch.setattr("ros2_clickgs.models.choose.make_segmenter", lambda *_: RedSegmenter())


def click_on_cube(world, tmp_path, capsys, *click: object) -> float:
    """Return the IoU of the clicked object with the cube's Gaussians."""
    out = tmp_path / "object.ply"
    report = answered(capsys, "click", world.map, *click, "--out", out)
    assert len(report["box"]["size_m"]) == 3
    found = {tuple(p) for p in load_map(out).means.tolist()}
    cube = {tuple(p) for p in load_map(world.map).means[world.is_cube].tolist()}
    return len(found & cube) / len(found | cube)


@pytest.mark.usefixtures("_sees_red")
def test_click_by_pixel_finds_the_cube(world, tmp_path, capsys):
    click = ["--pixel", "0001", 60, 45, "--cameras", world.cameras]
    assert click_on_cube(world, tmp_path, capsys, *click) > 0.8


@pytest.mark.usefixtures("_sees_red")
def test_click_by_point_needs_no_cameras(world, tmp_path, capsys):
    assert click_on_cube(world, tmp_path, capsys, "--point", "-1e-3", 0, CUBE_M) > 0.8


def test_build_map_fuses_the_frames(world, tmp_path, capsys):
    out = tmp_path / "built.ply"
    report = answered(capsys, "build-map", world.cameras, "--voxel", 0.01, "--out", out)
    assert (report["frames"], report["frames_without_depth"]) == (8, 0)
    built = load_map(out)
    assert len(built) == report["gaussians"]
    rendering = render(make_rasterizer(built, "numba"), world.camera)
    truth = read_image(world.folder / "images" / "0000.png") / 255
    near = np.s_[20:-10, 20:-20]
    assert np.abs(rendering.color.numpy() - truth)[near].mean() < 0.05


def test_bad_words_are_told_in_one_line(world, capsys, tmp_path):
    out = ["--out", tmp_path / "o.ply"]
    cameras = ["--cameras", world.cameras]
    assert "unrecognized options: nope" in refused(capsys, "nope").lower()
    assert "Missing from clickgs extract: --labels" in refused(capsys, "extract", world.map, *out)
    assert "perhaps you meant --depth" in refused(
        capsys, "render", world.map, *cameras, *out, "--dept"
    )
    assert "--pixel" in refused(capsys, "click", world.map, *out, "--pixel", "0001", 3)
    assert "either --point" in refused(capsys, "click", world.map, *out)
    assert "--cameras CAMS" in refused(capsys, "click", world.map, *out, "--pixel", "0001", 3, 4)
    assert "not finite" in refused(capsys, "click", world.map, *out, "--point", "nan", 0, 0)
    assert "no such folder" in refused(
        capsys, "segment", world.map, *cameras, "--masks", tmp_path / "no", "--out", "L.npz"
    )
    assert "--every" in refused(
        capsys, "segment", world.map, *cameras, "--masks", tmp_path, "--out", "L.npz", "--every", 0
    )
    assert "--voxel" in refused(capsys, "build-map", world.cameras, *out, "--voxel", -1)
    assert "only `clickgs up`" in refused(capsys, "info", world.map, "--ros-args", "-r", "a:=b")


def test_bad_files_are_told_in_one_line(world, labels, capsys, tmp_path):
    cameras, out = ["--cameras", world.cameras], ["--out", tmp_path / "o.ply"]
    to_labels = ["--out", tmp_path / "L.npz"]
    assert "/missing.ply" in refused(capsys, "info", "/missing.ply")
    assert "no view '9'" in refused(capsys, "click", world.map, *cameras, *out, "--pixel", 9, 3, 4)
    assert "no mask for any" in refused(
        capsys, "segment", world.map, *cameras, "--masks", tmp_path, *to_labels
    )
    write_label_image(tmp_path / "0000.png", np.zeros((90, 120), int))
    assert "hold no object" in refused(
        capsys, "segment", world.map, *cameras, "--masks", tmp_path, *to_labels
    )
    write_label_image(tmp_path / "0000.png", np.ones((9, 12), int))
    assert "12x9" in refused(
        capsys, "segment", world.map, *cameras, "--masks", tmp_path, *to_labels
    )
    wanted = ["--labels", labels, "--object", 7]
    assert "no object '7'; there are: 1" in refused(capsys, "extract", world.map, *wanted, *out)
    other = tmp_path / "other.ply"
    save_map(other, load_map(world.map).select(torch.arange(5)))
    assert map_sha256(other) in refused(capsys, "extract", other, *wanted, *out)
    assert "ending in .ply" in refused(capsys, "extract", world.map, *wanted, "--out", "o.obj")


def test_frames_that_cannot_be_fused_are_told_in_one_line(world, capsys, tmp_path):
    content = json.loads(Path(world.cameras).read_text())
    for frame in content["frames"]:
        frame["file_path"] = str(world.folder / frame["file_path"])
        frame["depth_file_path"] = str(world.folder / frame["depth_file_path"])
    cameras, out = tmp_path / "transforms.json", ["--out", tmp_path / "o.ply"]
    content["frames"][0]["depth_file_path"] = "gone.png"
    cameras.write_text(json.dumps(content))
    assert answered(capsys, "build-map", cameras, *out)["frames_without_depth"] == 1
    write_depth(tmp_path / "gone.png", np.ones((9, 12), np.float32))
    assert "gone.png" in refused(capsys, "build-map", cameras, *out)
    for frame in content["frames"]:
        del frame["depth_file_path"]
    cameras.write_text(json.dumps(content))
    assert "none of 8 views has both" in refused(capsys, "build-map", cameras, *out)


def test_help_is_there_at_once():
    words = [sys.executable, "-X", "importtime", "-m", "ros2_clickgs.cli", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "build-map" in done.stdout
    for heavy in ("torch", "numpy", "rclpy", "numba"):
        assert f" {heavy}\n" not in done.stderr


def test_bench_names_what_there_is(capsys):
    assert "no benchmark 'nope'" in refused(capsys, "bench", "nope")
