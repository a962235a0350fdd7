# SPDX-License-Identifier: Apache-2.0
"""The demo: what it clicks on, what it draws, what it says when things are missing."""

import json

import numpy as np
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.cli import main, overview
from ros2_clickgs.cli.targets import given_targets, innermost, is_whole, known_targets
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.io.maps import load_map
from tests.test_cli import CUBE_M, world  # noqa: F401

TOP = (0.0, 0.0, CUBE_M)


@pytest.fixture(scope="module")
def scene(world):  # noqa: F811
    return make_rasterizer(load_map(world.map), "numba"), load_views(world.cameras)


def test_clicks_land_inside_masks():
    mask = np.zeros((40, 60), bool)
    mask[5:30, 10:14] = mask[20:30, 10:50] = True
    u, v = innermost(mask)
    assert 20 <= v < 30
    assert mask[int(v), int(u)]


def test_whole_things_are_of_fair_size_and_not_cut_off():
    mask = np.zeros((40, 60), bool)
    assert not is_whole(mask)
    mask[10:20, 10:20] = True
    assert is_whole(mask)
    mask[0:20, 10:12] = True
    assert not is_whole(mask)


def test_known_things_are_clicked_where_they_show_most(scene, world):  # noqa: F811
    (target,) = known_targets(*scene, world.folder / "masks", {"cube": 1})
    assert target.point.abs()[:2].max() < CUBE_M / 2 + 0.01
    assert target.truth.any()


def test_given_points_are_shown_in_a_view_that_sees_them(scene):
    (target,) = given_targets(*scene, [TOP])
    assert target.point.tolist() == pytest.approx(TOP)
    (target,) = given_targets(*scene, [TOP * 2])
    assert [point.tolist() for point in target.more] == [pytest.approx(TOP)]
    with pytest.raises(ClickGSError, match="X Y Z"):
        given_targets(*scene, [TOP[:2]])
    with pytest.raises(ClickGSError, match="none of 8 views shows"):
        given_targets(*scene, [(0.0, 0.0, -1.0)])


def test_overview_has_four_panels_with_captions():
    image = np.full((30, 40, 3), 90, np.uint8)
    mask = np.zeros((30, 40), bool)
    mask[10:20, 10:20] = True
    row = overview.row(image, [(15.5, 15.5)], mask, image, image, "cup")
    assert row.shape == (overview.CAPTION_PX + 315, 4 * overview.WIDTH_PX, 3)
    tinted = overview.tinted(image, mask)
    assert (tinted[~mask] == 90).all()
    assert (tinted[mask] != 90).any(-1).all()


def refused(capsys, *words: object) -> str:
    assert main(["demo", *map(str, words)]) == 2
    return capsys.readouterr().err


def test_missing_data_is_told_in_one_line(capsys, tmp_path, world):  # noqa: F811
    out = ["--out", tmp_path / "out"]
    assert refused(capsys, "--data", tmp_path / "nothing", *out).count("\n") == 1
    content = json.loads((world.folder / "transforms.json").read_text())
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    assert "no view has an image" in refused(capsys, "--data", tmp_path, *out)


@pytest.mark.ros
@pytest.mark.slow
def test_demo_clicks_through_the_real_nodes(capsys, tmp_path, world):  # noqa: F811
    click = ["--click", *map(str, (*TOP, 0.0, 0.005, CUBE_M))]
    assert (
        main(["demo", "--data", str(world.folder), "--out", str(tmp_path), *click, "--json"]) == 0
    )
    report = json.loads(capsys.readouterr().out)
    facts = report["object_1"]
    assert len(load_map(tmp_path / facts["file"])) == facts["gaussians"] > 0
    assert read_image(tmp_path / "overview.png").shape[1] == 4 * overview.WIDTH_PX
    assert torch.isfinite(torch.tensor(facts["size_m"])).all()


@pytest.mark.ros
@pytest.mark.slow
def test_nodes_that_cannot_start_are_told_with_their_reason(tmp_path, world):  # noqa: F811
    from ros2_clickgs.cli.demo import running_nodes
    from ros2_clickgs.nodes.clicker import Clicker

    broken = tmp_path / "broken.ply"
    broken.write_bytes(b"ply\n")
    with running_nodes(broken, world.folder, tmp_path) as (check_alive, _):
        clicker = Clicker(check_alive)
        try:
            with pytest.raises(ClickGSError, match=r"the nodes ended: .*broken\.ply"):
                clicker.wait_for_map(60)
        finally:
            clicker.close()
