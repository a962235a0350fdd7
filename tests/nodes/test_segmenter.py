# SPDX-License-Identifier: Apache-2.0
"""Clicks over real DDS: by topic, by pixel, by service; answered by objects."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.geometry import project
from ros2_clickgs.core.harmonics import rgb_from_sh
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.images import read_image
from ros2_clickgs.io.labels import load_labels
from ros2_clickgs.io.maps import load_map
from ros2_clickgs.msg import Click, ObjectMaskArray
from ros2_clickgs.nodes import workbench
from ros2_clickgs.nodes.conversions.clouds import points_from_msg
from ros2_clickgs.nodes.conversions.geometry import (
    msg_from_camera,
    msg_from_nanoseconds,
    msg_from_pose,
)
from ros2_clickgs.nodes.conversions.images import image_from_msg
from ros2_clickgs.nodes.conversions.masks import MaskOwner, msg_from_mask
from ros2_clickgs.srv import (
    EditObject,
    ExportMap,
    MergeObjects,
    Refine,
    RemoveObject,
    RenameObject,
    RenderView,
    SegmentPixel,
    SegmentPoint,
)
from tests.nodes.conftest import BLUE_AT, RED_AT, SameColor
from tests.nodes.robot import Robot

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def views(world):
    return load_views(world)


def clicked(at, frame_id="map"):
    return PointStamped(header=Header(frame_id=frame_id), point=Point(x=at[0], y=at[1], z=at[2]))


def is_ball(found, at):
    center = found.pose.position
    return (
        np.linalg.norm(np.subtract((center.x, center.y, center.z), at)) < 0.03
        and 120 < found.gaussian_count < 450
        and 0.08 < found.size.x < 0.17
    )


def test_map_is_published_once_active(robot: Robot):
    robot.wait(lambda: robot.heard["map_cloud"] and robot.heard["splats"])
    points = points_from_msg(robot.heard["map_cloud"][0])
    assert len(points) == 1996
    assert not points["object_id"].any()
    assert robot.heard["map_cloud"][0].header.frame_id == "map"


def test_clicked_point_becomes_an_object_on_topics(robot: Robot, views):
    robot.show_all(views)
    top = (RED_AT[0], RED_AT[1], RED_AT[2] + 0.06)
    robot.send("/clicked_point", clicked(top))
    found = robot.settled()
    assert is_ball(found, RED_AT), found.pose
    robot.wait(lambda: robot.heard["object_cloud"] and robot.heard["object_cloud"][-1].width)
    cloud = points_from_msg(robot.heard["object_cloud"][-1])
    assert set(cloud["object_id"]) == {found.id}
    robot.wait(lambda: robot.heard["markers"] and len(robot.heard["markers"][-1].markers) == 3)


def test_pixel_of_the_newest_image_becomes_an_object(robot: Robot, views):
    robot.show_all(views)
    u, v, _ = project(views[-1].camera, torch.tensor([BLUE_AT]))[0].tolist()
    robot.send("image_mouse_left", Point(x=round(u, 0), y=round(v, 0)))
    assert is_ball(robot.settled(), BLUE_AT)


def test_service_answers_from_rendered_views_without_a_camera(robot: Robot):
    answer = robot.call(
        SegmentPoint,
        "segment_point",
        points=[clicked((0.0, 0.0, 0.12))],
        name="red",
        settle=True,
    )
    assert answer.object.settled
    assert answer.success, answer.message
    assert answer.object.name == "red"
    assert is_ball(answer.object, RED_AT), answer.object.pose


def test_object_is_refined_renamed_merged_and_removed(robot: Robot, views):
    robot.show_all(views[:3])
    red, blue = (
        robot.call(SegmentPoint, "segment_point", points=[clicked(at)], settle=True).object
        for at in ((0.0, 0.0, 0.12), (0.3, 0.1, 0.12))
    )
    more = Click(header=Header(frame_id="map"), position=Point(x=0.06, y=0.0, z=0.06))
    refined = robot.call(Refine, "refine", object_id=red.id, clicks=[more])
    assert refined.success, refined.message
    assert robot.call(RenameObject, "rename_object", object_id=red.id, name="cherry").success
    merged = robot.call(MergeObjects, "merge_objects", object_ids=[red.id, blue.id], name="both")
    assert merged.success, merged.message
    assert (merged.object.id, merged.object.name) == (red.id, "both")
    assert robot.call(RemoveObject, "remove_object", object_id=red.id).success
    robot.wait(lambda: not robot.heard["objects"][-1].objects)
    missing = robot.call(RemoveObject, "remove_object", object_id=red.id)
    assert not missing.success
    assert f"no object {red.id}" in missing.message


def test_pixel_in_a_rendered_picture_becomes_an_object(robot: Robot, views):
    camera = views[0].camera
    info, pose = msg_from_camera(camera, Header()), PoseStamped()
    pose.pose = msg_from_pose(camera.T_world_camera)
    shown = robot.call(RenderView, "render_view", camera_info=info, pose=pose, with_labels=True)
    assert shown.success, shown.message
    assert image_from_msg(shown.color).shape == (120, 160, 3)
    u, v, _ = project(camera, torch.tensor([RED_AT]))[0].tolist()
    answer = robot.call(
        SegmentPixel,
        "segment_pixel",
        pixels=[Point(x=u, y=v)],
        view_camera=info,
        view_pose=pose,
        settle=True,
    )
    assert answer.success, answer.message
    assert is_ball(answer.object, RED_AT)
    mask = answer.mask
    assert mask.x_offset <= u < mask.x_offset + mask.mask.width
    shown = robot.call(RenderView, "render_view", camera_info=info, pose=pose, with_labels=True)
    labels = np.frombuffer(shown.labels.data, np.int32).reshape(120, 160)
    assert labels[int(v), int(u)] == answer.object.id


def test_pixel_of_an_older_image_is_found_by_its_stamp(robot: Robot, views):
    robot.show_all(views[:3])
    stamp = Time(sec=1, nanosec=100_000_000)
    u, v, _ = project(views[1].camera, torch.tensor([RED_AT]))[0].tolist()
    header = Header(stamp=stamp, frame_id="optical")
    at = {"header": header, "pixels": [Point(x=u, y=v)], "settle": True}
    answer = robot.call(SegmentPixel, "segment_pixel", **at)
    assert answer.success, answer.message
    assert is_ball(answer.object, RED_AT)


def test_masks_from_elsewhere_vote_and_make_objects(robot: Robot, views):
    gaussians = load_map(robot.segmenter.config.map_path)
    is_red = rgb_from_sh(gaussians.sh)[:, 0] > 0.7
    rasterizer = make_rasterizer(gaussians, "numba")
    for i, view in enumerate(views[:3]):
        stamp_ns = 1_000_000_000 + i * 100_000_000
        robot.show(view, stamp_ns)
        red = render_labels(rasterizer, view.camera, is_red.int()).numpy() == 1
        masks = ObjectMaskArray(height=120, width=160, segmenter="hand")
        masks.header = Header(stamp=msg_from_nanoseconds(stamp_ns), frame_id="optical")
        masks.masks = [msg_from_mask(red, MaskOwner(0, "cherry", 1.0))]
        robot.send("masks", masks)
    found = lambda: [o for o in robot.heard["objects"][-1].objects if o.name == "cherry"]  # noqa: E731
    robot.wait(lambda: found() and found()[0].view_count == 3)
    assert is_ball(found()[0], RED_AT)


def test_files_stay_inside_the_session_dir(robot: Robot, views):
    at = {"points": [clicked((0.0, 0.0, 0.12))], "settle": True}
    red = robot.call(SegmentPoint, "segment_point", **at).object
    written = robot.call(EditObject, "edit_object", operation="extract", object_id=red.id)
    assert written.success, written.message
    assert len(load_map(written.path)) == red.gaussian_count == written.gaussian_count
    rest = robot.call(ExportMap, "export_map", path="r.ply", object_ids=[red.id], invert=True)
    assert rest.gaussian_count == 1996 - red.gaussian_count
    labelled = robot.call(ExportMap, "export_map", path="all.ply", with_labels=True)
    labels = load_labels(Path(labelled.path).with_suffix(".labels.npz"), labelled.map_sha256)
    assert int((labels.labels == red.id).sum()) == red.gaussian_count
    again = robot.call(ExportMap, "export_map", path="r.ply")
    assert "exists" in again.message
    for path in ("../out.ply", "/tmp/out.ply", "", "a\nb.ply"):
        refused = robot.call(ExportMap, "export_map", path=path)
        assert not refused.success
        assert "inside session_dir" in refused.message


def test_overlay_shows_the_object_in_its_colour(robot: Robot, views):
    robot.call(SegmentPoint, "segment_point", points=[clicked((0.0, 0.0, 0.12))])
    robot.heard["overlay"].clear()
    robot.show(views[0], 5_000_000_000)
    robot.wait(lambda: robot.heard["overlay"])
    shown = image_from_msg(robot.heard["overlay"][-1]).astype(int)
    changed = np.abs(shown - read_image(views[0].image_path)).max(-1) > 20
    assert 100 < changed.sum() < 2500
    assert robot.heard["overlay"][-1].header.stamp == Time(sec=5)


def test_background_weight_changes_objects_at_once(robot: Robot, views):
    robot.show_all(views[:2])
    red = robot.call(SegmentPoint, "segment_point", points=[clicked((0.0, 0.0, 0.12))]).object
    robot.segmenter.set_parameters([Parameter("background_weight", value=50.0)])
    robot.wait(lambda: robot.heard["objects"][-1].objects[0].gaussian_count < red.gaussian_count)
    result = robot.segmenter.set_parameters([Parameter("backend", value="reference")])[0]
    assert "only before `configure`" in result.reason
    result = robot.segmenter.set_parameters([Parameter("background_weight", value=-1.0)])[0]
    assert not result.successful


def test_deactivated_segmenter_frees_the_map_and_comes_back(robot: Robot, views):
    robot.segmenter.trigger_deactivate()
    assert robot.segmenter._bench is None
    robot.show(views[0], 1_000_000_000)
    robot.segmenter.trigger_activate()
    answer = robot.call(SegmentPoint, "segment_point", points=[clicked((0.0, 0.0, 0.12))])
    assert answer.success, answer.message


def test_many_services_wait_while_the_worker_is_busy(robot: Robot, views):
    client = robot.peer.create_client(SegmentPoint, "segmenter/segment_point")
    assert client.wait_for_service(10)
    request = SegmentPoint.Request(points=[clicked((0.0, 0.0, 0.12))])
    futures = [client.call_async(request) for _ in range(6)]
    robot.wait(lambda: all(f.done() for f in futures))
    assert sorted(f.result().object.id for f in futures) == [1, 2, 3, 4, 5, 6]


def test_map_in_other_units_comes_out_in_metres(ros, world, tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: SameColor())
    quarter_turn = [0.0, 0.0, 2**-0.5, 2**-0.5]
    parameters = {
        "map_path": str(world / "map.ply"),
        "session_dir": str(tmp_path),
        "map_to_splat.scale": 2.0,
        "map_to_splat.translation_m": [1.0, 0.0, 0.0],
        "map_to_splat.rotation_xyzw": quarter_turn,
    }
    with Robot(**parameters) as robot:
        points = [clicked((0.8, 0.6, 0.24))]
        answer = robot.call(SegmentPoint, "segment_point", points=points)
        assert answer.success, answer.message
        center, size = answer.object.pose.position, answer.object.size
        assert np.allclose((center.x, center.y, center.z), (0.8, 0.6, 0.12), atol=0.06)
        assert 0.16 < size.x < 0.34
        whole = robot.call(ExportMap, "export_map", path="m.ply")
    before, after = load_map(world / "map.ply"), load_map(whole.path)
    assert torch.allclose(before.means, after.means, atol=1e-5)


def test_transitions_while_messages_come_in(robot: Robot, views):
    for stamp_s in range(1, 21):
        robot.show(views[stamp_s % len(views)], stamp_s * 10**9)
        if stamp_s % 2:
            robot.segmenter.trigger_deactivate()
        else:
            robot.segmenter.trigger_activate()
    before = int(robot.fact("received image"))
    robot.show(views[0], 10**11)
    robot.wait(lambda: int(robot.fact("received image")) > before)
