# SPDX-License-Identifier: Apache-2.0
"""transforms.json and COLMAP: axes, names, files, and what is refused."""

import json
import math
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from ros2_clickgs.core.geometry import project, quat_wxyz_from_rotmat
from ros2_clickgs.errors import CameraFormatError, ClickGSError, NotFoundError
from ros2_clickgs.io.cameras import View, find_view, load_views, save_transforms
from ros2_clickgs.io.images import write_depth, write_image
from tests.conftest import random_camera

IDENTITY = torch.eye(4).tolist()
FRAME = {"file_path": "images/a.png", "transform_matrix": IDENTITY}
SHARED = {"fl_x": 50.0, "w": 40, "h": 30}


def write_transforms(folder: Path, frames: list | None = None, **shared: object) -> Path:
    path = folder / "transforms.json"
    path.write_text(json.dumps({**SHARED, "frames": frames or [FRAME], **shared}))
    return path


def views_of(count: int = 3) -> list[View]:
    return [View(name=f"view_{i}", camera=random_camera(i)) for i in range(count)]


def assert_same_cameras(a: list[View], b: list[View], atol: float = 1e-9) -> None:
    assert [view.name for view in a] == [view.name for view in b]
    for one, other in zip(a, b, strict=True):
        assert (one.camera.width, one.camera.height) == (other.camera.width, other.camera.height)
        for name in ("K", "T_world_camera"):
            x, y = getattr(one.camera, name), getattr(other.camera, name)
            torch.testing.assert_close(x, y, rtol=0, atol=atol)


def test_transforms_survive(tmp_path: Path) -> None:
    views = views_of()
    save_transforms(tmp_path / "deep" / "transforms.json", views)
    assert_same_cameras(load_views(tmp_path / "deep"), views)


def test_opengl_axes_are_turned_once(tmp_path: Path) -> None:
    (view,) = load_views(write_transforms(tmp_path))
    ahead_and_above = torch.tensor([[0.0, 0.5, -2.0]])
    u, v, depth = project(view.camera, ahead_and_above)[0].tolist()
    assert depth == pytest.approx(2)
    assert (u, v) == pytest.approx((20, 15 - 50 * 0.5 / 2))


def test_defaults_and_per_frame_intrinsics(tmp_path: Path) -> None:
    own = {**FRAME, "file_path": "images/b.png", "fl_x": 60, "fl_y": 61, "cx": 1.5, "cy": 2}
    shared, per_frame = load_views(write_transforms(tmp_path, [FRAME, own]))
    assert shared.camera.K.tolist() == [[50, 0, 20], [0, 50, 15], [0, 0, 1]]
    assert per_frame.camera.K.tolist() == [[60, 0, 1.5], [0, 61, 2], [0, 0, 1]]


def test_field_of_view_and_the_images_own_size(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png", np.zeros((20, 80, 3), np.uint8))
    frame = {"file_path": "./images/a", "transform_matrix": IDENTITY}
    contents = {"camera_angle_x": math.pi / 2, "frames": [frame]}
    (tmp_path / "transforms.json").write_text(json.dumps(contents))
    (view,) = load_views(tmp_path)
    assert (view.camera.width, view.camera.height) == (80, 20)
    assert view.camera.K[0, 0].item() == pytest.approx(40)
    assert view.name == "a"


@pytest.mark.parametrize("file_path", ["images/a.png", "images/a", "a.png", "./images/a.png", "a"])
def test_images_are_found(tmp_path: Path, file_path: str) -> None:
    write_image(tmp_path / "images/a.png", np.zeros((30, 40, 3), np.uint8))
    write_depth(tmp_path / "depth/a.png", np.zeros((30, 40), np.float32))
    frame = {**FRAME, "file_path": file_path, "depth_file_path": "depth/a.png"}
    (view,) = load_views(write_transforms(tmp_path, [frame], depth_unit_scale_factor=0.0002))
    assert view.image_path == tmp_path / "images/a.png"
    assert view.depth_path == tmp_path / "depth/a.png"
    assert view.depth_unit_m == 0.0002
    assert view.name == "a"


def test_cameras_without_images(tmp_path: Path) -> None:
    (view,) = load_views(write_transforms(tmp_path))
    assert view.image_path is None
    assert view.depth_path is None
    assert view.depth_unit_m == 0.001


def test_splits_and_names(tmp_path: Path) -> None:
    frames = [
        {**FRAME, "file_path": f"images/{name}"} for name in ("l/1.png", "r/1.png", "r/v1.5")
    ]
    path = write_transforms(
        tmp_path, frames, train_filenames=["images/l/1.png"], test_filenames=["images/r/1.png"]
    )
    views = load_views(path)
    assert [view.name for view in views] == ["l/1", "r/1", "r/v1.5"]
    assert [view.split for view in views] == ["train", "test", ""]
    save_transforms(tmp_path / "again.json", views)
    assert [view.split for view in load_views(tmp_path / "again.json")] == ["train", "test", ""]


BROKEN = {
    "distortion": ({"k1": 0.01}, "is distorted: k1 = 0.01; undistort the images first"),
    "fisheye": ({"camera_model": "OPENCV_FISHEYE"}, "'OPENCV_FISHEYE', not a pinhole; undistort"),
    "fisheye flag": ({"is_fisheye": True}, "not a pinhole"),
    "no focal length": ({"fl_x": None}, "'fl_x' is 'None', not a number"),
    "text for a number": ({"w": "forty"}, "'w' is 'forty', not a number"),
    "a fraction of a pixel": ({"w": 40.5}, "has the size 40.5x30 px"),
    "no size": ({"h": 0}, "give 'w' and 'h' in whole pixels, or the image"),
    "a billion pixels wide": ({"w": 10**9}, "claims 1000000000x30 px"),
    "negative focal length": ({"fl_x": -1}, "positive focal lengths"),
    "infinite": ({"cx": math.inf}, "'cx' is 'inf', not a number"),
    "no unit": ({"depth_unit_scale_factor": 0}, "give the metres of one depth step"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_transforms(tmp_path: Path, case: str) -> None:
    shared, expected = BROKEN[case]
    with pytest.raises(CameraFormatError) as caught:
        load_views(write_transforms(tmp_path, **shared))
    assert expected in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "matrix",
    [
        None, [], "eye", [[1, 2], [3]], np.diag([2.0, 2, 2, 1]).tolist(),
        np.diag([1.0, 1, -1, 1]).tolist(), [[math.nan] * 4] * 3 + [[0, 0, 0, 1]],
        np.eye(4)[:3].tolist(), [*np.eye(4).tolist()[:3], [1, 0, 0, 1]], [[10**400] * 4] * 4,
    ],
)  # fmt: skip
def test_poses_that_are_none(tmp_path: Path, matrix: object) -> None:
    with pytest.raises(CameraFormatError, match="image 'a'"):
        load_views(write_transforms(tmp_path, [{**FRAME, "transform_matrix": matrix}]))


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("\udcff", "is no JSON"),
        ("[]", "has no list 'frames'"),
        ('{"frames": [3]}', "has no list 'frames'"),
        ('{"frames": []}', "lists no frames"),
    ],
)
def test_files_that_are_no_transforms(tmp_path: Path, contents: str, expected: str) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(contents.encode("utf-8", "surrogateescape"))
    with pytest.raises(CameraFormatError, match=expected):
        load_views(path)


def test_folders_without_cameras(tmp_path: Path) -> None:
    with pytest.raises(CameraFormatError, match=r"holds neither transforms\.json nor COLMAP"):
        load_views(tmp_path)
    with pytest.raises(CameraFormatError, match="cannot be read"):
        load_views(tmp_path / "absent.json")


def test_find_view() -> None:
    views = views_of(10)
    assert find_view(views, "view_7") is views[7]
    with pytest.raises(NotFoundError, match=r"no view 'x'; there are: view_0, .*, view_7, \.\.\."):
        find_view(views, "x")


def world_to_camera(view: View) -> list[float]:
    viewmat = view.camera.viewmat
    return [*quat_wxyz_from_rotmat(viewmat[:3, :3]).tolist(), *viewmat[:3, 3].tolist()]


def write_colmap_text(folder: Path, views: list[View]) -> None:
    cameras, images = ["# comment"], ["# comment"]
    for i, view in enumerate(views):
        K, c = view.camera.K, view.camera
        numbers = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
        text = " ".join(repr(float(n)) for n in numbers)
        cameras.append(f"{i + 1} PINHOLE {c.width} {c.height} {text}")
        pose = " ".join(repr(n) for n in world_to_camera(view))
        images += [f"{i + 1} {pose} {i + 1} {view.name}.png", "" if i % 2 else "1.5 2.5 -1"]
    folder.mkdir(parents=True)
    (folder / "cameras.txt").write_text("\n".join(cameras) + "\n")
    (folder / "images.txt").write_text("\n".join(images) + "\n")


def write_colmap_binary(folder: Path, views: list[View]) -> None:
    cameras, images = struct.pack("<Q", len(views)), struct.pack("<Q", len(views))
    for i, view in reversed(list(enumerate(views))):
        K, c = view.camera.K, view.camera
        numbers = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
        cameras += struct.pack("<IiQQ4d", i + 1, 1, c.width, c.height, *numbers)
        images += struct.pack("<I7dI", i + 1, *world_to_camera(view), i + 1)
        images += f"{view.name}.png\0".encode() + struct.pack("<Q", i) + b"\7" * 24 * i
    folder.mkdir(parents=True)
    (folder / "cameras.bin").write_bytes(cameras)
    (folder / "images.bin").write_bytes(images)


@pytest.mark.parametrize("write", [write_colmap_text, write_colmap_binary])
@pytest.mark.parametrize("given", ["", "sparse", "sparse/0"])
def test_colmap(tmp_path: Path, write: object, given: str) -> None:
    views = views_of()
    write(tmp_path / "sparse/0", views)
    write_image(tmp_path / "images/view_1.png", np.zeros((50, 70, 3), np.uint8))
    loaded = load_views(tmp_path / given)
    assert_same_cameras(loaded, views, atol=1e-6)
    assert loaded[1].image_path == tmp_path / "images/view_1.png"
    assert loaded[0].image_path is None


def test_colmap_simple_pinhole(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("1 SIMPLE_PINHOLE 64 48 50 32 24\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 1 with space.jpg\n\n")
    (view,) = load_views(tmp_path)
    assert view.name == "with space"
    assert view.camera.K.tolist() == [[50, 0, 32], [0, 50, 24], [0, 0, 1]]


@pytest.mark.parametrize(
    ("cameras", "images", "expected"),
    [
        ("1 OPENCV 64 48 50 50 32 24 0.1 0 0 0", "", "OPENCV, no pinhole; run `colmap image_und"),
        ("1 PINHOLE 64 48 50 32 24", "", "gives 3 parameters for a PINHOLE"),
        ("1 PINHOLE 64", "", "broken line: '1 PINHOLE 64'"),
        ("1 PINHOLE 64 48 a b c d", "", "broken line"),
        ("1 PINHOLE 64 48 50 50 32 24", "", "lists no images"),
        ("1 PINHOLE 64 48 50 50 32 24", "1 1 0 0 0 0 0 0 2 a.png", "names camera 2"),
        ("1 PINHOLE 64 48 50 50 32 24", "1 0 0 0 0 0 0 0 1 a.png", "not of length 1"),
        ("1 PINHOLE 64 48 50 50 32 24", "1 1 0 0 0 nan 0 0 1 a.png", "image 'a.png'"),
        ("1 PINHOLE 64 48 50 50 32 24", "1 1 0 0 0", "broken line"),
    ],
)
def test_broken_colmap(tmp_path: Path, cameras: str, images: str, expected: str) -> None:
    (tmp_path / "cameras.txt").write_text(cameras)
    (tmp_path / "images.txt").write_text(images)
    with pytest.raises(CameraFormatError, match=expected):
        load_views(tmp_path)


def test_colmap_without_images_file(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 64 48 50 50 32 24\n")
    with pytest.raises(CameraFormatError, match="cannot be read"):
        load_views(tmp_path)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_mutated_colmap(tmp_path: Path, name: str) -> None:
    write_colmap_binary(tmp_path / "sparse", views_of())
    path = tmp_path / "sparse" / name
    original = path.read_bytes()
    for seed in range(300):
        rng, contents = random.Random(seed), bytearray(original)
        at = rng.randrange(len(contents))
        if seed % 3:
            contents[at : at + seed % 9] = rng.randbytes(seed % 9)
        else:
            del contents[at:]
        path.unlink()
        path.write_bytes(contents)
        try:
            assert load_views(tmp_path)
        except ClickGSError as error:
            path_named = str(error).startswith(str(tmp_path))
            if not path_named:
                pytest.fail(f"seed {seed}: {error}")
