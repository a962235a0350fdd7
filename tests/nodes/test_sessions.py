# SPDX-License-Identifier: Apache-2.0
"""Over real DDS: edits that are undone bit for bit, sessions that come back with the node."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_msgs.msg import Point, Quaternion, Transform, Vector3
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import ColorRGBA, Header
from std_srvs.srv import Trigger

from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.io.cameras import load_views
from ros2_clickgs.io.maps import load_map, save_map
from ros2_clickgs.msg import Click
from ros2_clickgs.nodes import workbench
from ros2_clickgs.srv import (
    EditObject,
    ExportMap,
    LoadSession,
    PruneMap,
    Refine,
    RenameObject,
    SaveSession,
    SegmentPoint,
)
from tests.nodes.conftest import BLUE_AT, RED_AT, SameColor
from tests.nodes.robot import Robot
from tests.nodes.test_main import started
from tests.nodes.test_segmenter import clicked, is_ball

pytestmark = pytest.mark.ros

RED_TOP, BLUE_TOP = (0.0, 0.0, 0.12), (0.3, 0.1, 0.12)
COUNT = 1996


@pytest.fixture
def start(ros, world, tmp_path, monkeypatch):
    """Return what starts a segmenter on the world's map, on the same session each time."""
    monkeypatch.setattr(workbench, "make_segmenter", lambda *_: SameColor())

    @contextmanager
    def started(**parameters):
        defaults = {
            "map_path": str(world / "map.ply"),
            "session_dir": str(tmp_path / "kept"),
            "keyframes.min_views": 2,
            "keyframes.rendered_views": 2,
        }
        with Robot(**(defaults | parameters)) as robot:
            yield robot

    return started


def click(robot, at, name=""):
    point = {"points": [clicked(at)], "name": name, "settle": True}
    answer = robot.call(SegmentPoint, "segment_point", **point)
    assert answer.success, answer.message
    return answer.object


def edit(robot, operation, object_id=0, **request):
    answer = robot.call(
        EditObject, "edit_object", operation=operation, object_id=object_id, **request
    )
    assert answer.success, answer.message
    return answer


def exported(robot, name="all.ply") -> bytes:
    answer = robot.call(ExportMap, "export_map", path=name, overwrite=True)
    assert answer.success, answer.message
    return Path(answer.path).read_bytes()


def objects_of(robot):
    robot.wait(lambda: robot.heard["objects"])
    return {
        o.id: (o.name, o.gaussian_count, o.revision) for o in robot.heard["objects"][-1].objects
    }


def moved_to(x, y, z, scale=1.0):
    half_turn = Quaternion(x=0.0, y=0.0, z=1.0, w=0.0)
    translation = Vector3(x=x, y=y, z=z)
    return {"transform": Transform(translation=translation, rotation=half_turn), "scale": scale}


def test_edits_show_and_are_undone_bit_for_bit(start):
    with start() as robot:
        before, red = exported(robot), click(robot, RED_TOP)
        moved = edit(robot, "transform", red.id, **moved_to(0.0, -0.3, 0.1))
        center = moved.object.pose.position
        assert np.allclose(
            (center.x, center.y, center.z), np.add(RED_AT, (0, -0.3, 0.1)), atol=0.02
        )
        assert moved.object.revision > red.revision
        tinted = edit(robot, "recolor", red.id, color=ColorRGBA(r=0.0, g=1.0, b=0.0, a=1.0))
        assert tinted.gaussian_count == red.gaussian_count
        grown = edit(robot, "transform", red.id, transform=Transform(), scale=2.0)
        assert grown.object.size.x == pytest.approx(2 * moved.object.size.x, rel=0.05)
        gone = edit(robot, "delete", red.id)
        assert (gone.object.id, gone.undo_depth) == (0, 4)
        assert not objects_of(robot)
        rest = load_map(write(robot, "rest.ply"))
        assert len(rest) == COUNT - red.gaussian_count
        for depth in (3, 2, 1, 0):
            assert edit(robot, "undo").undo_depth == depth
        assert exported(robot) == before
        refused = robot.call(EditObject, "edit_object", operation="undo")
        assert "no edit 'to undo'" in refused.message
        assert edit(robot, "redo").undo_depth == 1
        again = click(robot, np.add(RED_TOP, (0, -0.3, 0.1)).tolist())
        assert again.gaussian_count > 100


def write(robot, name) -> Path:
    answer = robot.call(ExportMap, "export_map", path=name)
    assert answer.success, answer.message
    return Path(answer.path)


def test_bad_edits_are_refused_and_change_nothing(start):
    with start() as robot:
        red, before = click(robot, RED_TOP), exported(robot)
        bad = [
            {"operation": "explode"},
            {"operation": "delete", "object_id": 99},
            {"operation": "recolor", "color": ColorRGBA(r=2.0, a=1.0)},
            {"operation": "transform", "transform": Transform(), "scale": 0.0},
            {"operation": "transform", "transform": Transform(rotation=Quaternion(w=0.0))},
            {"operation": "transform", **moved_to(float("nan"), 0.0, 0.0)},
        ]
        for request in bad:
            answer = robot.call(EditObject, "edit_object", **({"object_id": red.id} | request))
            assert not answer.success
            assert answer.message
        assert exported(robot) == before


def test_a_refinement_is_taken_back(start):
    with start() as robot:
        red = click(robot, RED_TOP)
        more = Click(header=Header(frame_id="map"), position=Point(x=0.06, y=0.0, z=0.06))
        assert robot.call(Refine, "refine", object_id=red.id, clicks=[more]).success
        strict = robot.call(Refine, "refine", object_id=red.id, background_weight=20.0)
        assert 0 < strict.object.gaussian_count < red.gaussian_count
        assert strict.object.revision == red.revision + 2
        for _ in range(2):
            back = robot.call(Refine, "refine", object_id=red.id, undo=True)
            assert back.success, back.message
        assert back.object.gaussian_count == red.gaussian_count
        assert back.object.revision == red.revision + 4
        nothing = robot.call(Refine, "refine", object_id=red.id, undo=True)
        assert "no refinement to take back" in nothing.message


def test_restart_restores_objects_names_votes_clicks_and_edits(start, world):
    views = load_views(world)
    with start() as robot:
        original = exported(robot)
        robot.show_all(views[:2])
        red, blue = click(robot, RED_TOP, "cherry"), click(robot, BLUE_TOP)
        assert robot.call(RenameObject, "rename_object", object_id=blue.id, name="plum").success
        edit(robot, "delete", red.id)
        edit(robot, "transform", blue.id, **moved_to(-0.1, -0.2, 0.0))
        state = robot.segmenter._bench.objects.state
        revision = state.ballots[blue.id].revision
        robot.wait(lambda: objects_of(robot).get(blue.id, ("", 0, 0))[2] == revision)
        before, seen = exported(robot), objects_of(robot)
    with start() as robot:
        assert objects_of(robot) == seen
        assert exported(robot) == before
        kept = robot.segmenter._bench.objects.state.ballots[blue.id]
        assert kept.votes.votes_for.equal(state.ballots[blue.id].votes.votes_for)
        assert kept.clicks[0].point.equal(state.ballots[blue.id].clicks[0].point)
        edit(robot, "undo")
        undone = edit(robot, "undo")
        assert undone.undo_depth == 0
        assert exported(robot) == original
        robot.wait(lambda: red.id in objects_of(robot))
        assert objects_of(robot)[red.id][0] == "cherry"
        assert click(robot, RED_TOP).id == blue.id + 1
        assert robot.call(Trigger, "clear").success
    with start() as robot:
        assert not objects_of(robot)
        assert click(robot, RED_TOP).id == blue.id + 2


def test_sessions_are_saved_loaded_and_of_one_map(start, world, tmp_path):
    with start(session="") as robot:
        click(robot, RED_TOP, "cherry")
        nowhere = robot.call(SaveSession, "save_session")
        assert "no session is running" in nowhere.message
        saved = robot.call(SaveSession, "save_session", path="a.session")
        assert saved.object_count == 1
        refused = robot.call(SaveSession, "save_session", path="a.session")
        assert "exists" in refused.message
        assert robot.call(Trigger, "clear").success
        assert robot.call(LoadSession, "load_session", path="a.session").object_count == 1
        robot.wait(lambda: objects_of(robot).get(1, [""])[0] == "cherry")
        assert not robot.call(LoadSession, "load_session", path="../a.session").success
    other = world / "other.ply"
    save_map(other, load_map(world / "map.ply").select(torch.arange(100)))
    with start(map_path=str(other), session="b") as robot:
        refused = robot.call(LoadSession, "load_session", path="a.session")
        assert refused.message.count("sha256") == 1
        assert robot.segmenter._bench.map_sha256 in refused.message
        assert robot.call(SaveSession, "save_session").path.endswith("/kept/b.session")
    with pytest.raises(ClickGSError, match="was made for the map"), start(session="b"):
        pass


def test_a_session_in_use_is_refused_by_name_and_done_without_by_auto(start):
    in_use = pytest.raises(ClickGSError, match="in use by another process")
    with start(session="mine"), in_use, start(session="mine"):
        pass
    with start() as first, start() as second:
        assert first.segmenter._bench.session.path
        assert second.segmenter._bench.session.path is None


def test_a_disk_that_refuses_fails_the_service_and_changes_nothing(start, monkeypatch):
    with start() as robot:
        red = click(robot, RED_TOP)

        def full(descriptor):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            refused = robot.call(EditObject, "edit_object", operation="delete", object_id=red.id)
        assert "No space left on device" in refused.message
        assert is_ball(click(robot, BLUE_TOP), BLUE_AT)
        assert robot.segmenter._bench.objects.ids == [red.id, red.id + 1]


def test_pruning_by_the_kept_views_changes_no_pixel_and_is_undone(start, world):
    with start() as robot:
        nothing = robot.call(PruneMap, "prune_map")
        assert "none yet" in nothing.message
        before = exported(robot)
        robot.show_all(load_views(world)[:3])
        planned = robot.call(PruneMap, "prune_map", dry_run=True)
        assert planned.success, planned.message
        assert exported(robot) == before
        pruned = robot.call(PruneMap, "prune_map")
        assert pruned.gaussians_before == COUNT
        assert 0 < pruned.gaussians_after == planned.gaussians_after < COUNT
        assert pruned.max_pixel_change <= 1 / 510
        assert pruned.psnr_seen_after == pytest.approx(pruned.psnr_seen_before, abs=0.01)
        assert pruned.psnr_unseen_after > 20
        robot.wait(lambda: robot.heard["map_cloud"][-1].width == pruned.gaussians_after)
        edit(robot, "undo")
        assert exported(robot) == before


def test_live_weight_is_a_parameter_and_no_part_of_the_session(start):
    with start() as robot:
        red = click(robot, RED_TOP)
        robot.segmenter.set_parameters([Parameter("background_weight", value=50.0)])
        robot.wait(lambda: objects_of(robot)[red.id][1] < red.gaussian_count)
    with start() as robot:
        assert objects_of(robot)[red.id][1] == red.gaussian_count


@pytest.mark.slow
def test_a_killed_node_has_what_it_answered(start, world, tmp_path):
    words = {"map_path": world / "map.ply", "session_dir": tmp_path / "kept"}
    arguments = [word for name, value in words.items() for word in ("-p", f"{name}:={value}")]
    process = started(f"segmenter_main(['--ros-args', *{arguments!r}])")
    peer = Node("peer", namespace="clickgs")
    executor = SingleThreadedExecutor()
    executor.add_node(peer)
    told = {}
    for at, name in ((RED_TOP, "cherry"), (BLUE_TOP, "plum")):
        client = peer.create_client(SegmentPoint, "segmenter/segment_point")
        assert client.wait_for_service(60)
        future = client.call_async(SegmentPoint.Request(points=[clicked(at)], name=name))
        executor.spin_until_future_complete(future, 60)
        found = future.result().object
        told[found.id] = (found.name, found.gaussian_count)
    process.kill()
    process.communicate()
    peer.destroy_node()
    with start() as robot:
        assert {i: seen[:2] for i, seen in objects_of(robot).items()} == told
