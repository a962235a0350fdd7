# SPDX-License-Identifier: Apache-2.0
"""Colour, depth and label images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ros2_clickgs.core.types import IGNORE
from ros2_clickgs.errors import FileFormatError, ShapeError
from ros2_clickgs.io.cameras import View
from ros2_clickgs.io.images import (
    find_label_image,
    image_size,
    read_depth,
    read_image,
    read_label_image,
    write_depth,
    write_image,
    write_label_image,
)
from tests.conftest import random_camera

RNG = np.random.default_rng(0)


def test_colour_survives(tmp_path: Path) -> None:
    rgb = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    write_image(tmp_path / "new/a.png", rgb)
    assert (read_image(tmp_path / "new/a.png", random_camera()) == rgb).all()
    assert image_size(tmp_path / "new/a.png") == (70, 50)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (8, 6)).save(tmp_path / "a.tiff")
    pixels = read_image(tmp_path / "a.tiff")
    assert pixels.shape == (6, 8, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable


def test_depth_survives_to_the_millimetre(tmp_path: Path) -> None:
    depth = RNG.uniform(0, 60, (50, 70)).astype(np.float32)
    write_depth(tmp_path / "d.png", depth)
    read = read_depth(tmp_path / "d.png", camera=random_camera())
    assert read.dtype == np.float32
    assert np.abs(read - depth).max() < 0.000504


def test_depth_that_cannot_be_written_is_unknown(tmp_path: Path) -> None:
    depth = np.float32([[np.nan, np.inf, -np.inf], [-1, 70, 1]])
    write_depth(tmp_path / "d.png", depth)
    assert read_depth(tmp_path / "d.png").tolist() == [[0, 0, 0], [0, 0, 1]]


def test_depth_unit(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 5000, np.uint16)).save(tmp_path / "d.png")
    assert read_depth(tmp_path / "d.png", 0.0002)[0, 0] == pytest.approx(1)


@pytest.mark.parametrize(("highest", "mode"), [(254, "L"), (255, "I;16"), (65534, "I;16")])
def test_labels_survive(tmp_path: Path, highest: int, mode: str) -> None:
    labels = RNG.integers(IGNORE, highest + 1, (50, 70)).astype(np.int32)
    labels[0, :3] = [IGNORE, 0, highest]
    write_label_image(tmp_path / "l.png", labels)
    with Image.open(tmp_path / "l.png") as image:
        assert image.mode == mode
    read = read_label_image(tmp_path / "l.png", random_camera())
    assert read.dtype == np.int32
    assert (read == labels).all()


def test_ignore_is_the_highest_value_of_the_file(tmp_path: Path) -> None:
    Image.fromarray(np.uint8([[255, 254]])).save(tmp_path / "8.png")
    Image.fromarray(np.uint16([[65535, 255]])).save(tmp_path / "16.png")
    assert read_label_image(tmp_path / "8.png").tolist() == [[IGNORE, 254]]
    assert read_label_image(tmp_path / "16.png").tolist() == [[IGNORE, 255]]


def test_palette_images_hold_labels_not_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.uint8([[0, 3], [7, 1]]), mode="P")
    image.putpalette(RNG.integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(tmp_path / "p.png")
    assert read_label_image(tmp_path / "p.png").tolist() == [[0, 3], [7, 1]]


def test_labels_beyond_16_bits(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="0 to 65534"):
        write_label_image(tmp_path / "l.png", np.full((2, 2), 65535))


@pytest.mark.parametrize("read", [read_image, read_label_image])
def test_size_must_be_the_cameras(tmp_path: Path, read: object) -> None:
    Image.fromarray(np.zeros((50, 71), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ShapeError, match="70x50 px, the size of its camera, but is 71x50 px"):
        read(tmp_path / "a.png", random_camera())


def test_images_of_the_wrong_kind(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(FileFormatError, match=r"is no label image, .* 'RGB'; give one channel"):
        read_label_image(tmp_path / "a.png")
    with pytest.raises(FileFormatError, match="is no 16-bit depth image"):
        read_depth(tmp_path / "a.png")


@pytest.mark.parametrize("read", [read_image, read_label_image, read_depth, image_size])
def test_files_that_are_no_images(tmp_path: Path, read: object) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    for path, expected in (
        ("a.png", "is no image"),
        ("b.png", "does not exist"),
        ("", "no image"),
    ):
        with pytest.raises(FileFormatError, match=expected):
            read(tmp_path / path)


def test_damaged_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    original = path.read_bytes()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        contents = bytearray(original)
        at = int(rng.integers(8, len(contents)))
        contents[at : at + 4] = rng.bytes(4)
        path.unlink()
        path.write_bytes(contents[: at + 1] if seed % 2 else contents)
        try:
            assert read_image(path).dtype == np.uint8
        except FileFormatError as error:
            if not str(error).startswith(str(path)):
                pytest.fail(f"seed {seed}: {error}")


def test_an_image_of_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(FileFormatError, match="claims too many pixels"):
        read_image(tmp_path / "a.png")


def test_masks_are_found_by_name(tmp_path: Path) -> None:
    view = View(name="l/1", camera=random_camera(), image_path=Path("/x/images/l/1.jpg"))
    assert find_label_image(tmp_path, view) is None
    for name in ("1.jpg.png", "1.png", "l/1.png", "1.coarse.png"):
        write_label_image(tmp_path / name, np.zeros((2, 2), int))
        kind = "coarse" if "coarse" in name else ""
        assert find_label_image(tmp_path, view, kind) == tmp_path / name
