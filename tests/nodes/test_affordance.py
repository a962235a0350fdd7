# SPDX-License-Identifier: Apache-2.0
"""The affordance node over DDS: objects and goals in, latched regions out."""

import contextlib
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from ros2_clickgs.action import TransferAffordances
from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.core.affordances.options import AffordanceScores
from ros2_clickgs.core.posed_image import rendered_image
from ros2_clickgs.core.rendering import render_labels
from ros2_clickgs.io.images import write_image, write_label_image
from ros2_clickgs.msg import AffordanceArray, SegmentedObjectArray
from ros2_clickgs.nodes import transfers
from ros2_clickgs.nodes.affordance import AffordanceNode
from ros2_clickgs.nodes.conversions.clouds import (
    msg_from_points,
    points_from_cloud,
    points_from_msg,
    points_from_splats,
)
from ros2_clickgs.nodes.conversions.geometry import pose_from_msg
from ros2_clickgs.nodes.qos import LATCHED
from ros2_clickgs.nodes.spinning import spin
from tests.nodes.mugs import CLASSES, MUG, a_mug, object_msg
from tests.nodes.robot import PATIENCE_S, wait_until

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def mug():
    return a_mug()


class Peer:
    """Stands in for the segmenter and for who wants affordances."""

    def __init__(self, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = AffordanceNode(parameter_overrides=overrides)
        self.peer = Node("peer", namespace="clickgs")
        self._objects = self.peer.create_publisher(
            SegmentedObjectArray, "segmenter/objects", LATCHED
        )
        self._splats = self.peer.create_publisher(PointCloud2, "segmenter/splats", LATCHED)
        self.heard = {"affordances": [], "affordance_cloud": [], "markers": []}
        kinds = (AffordanceArray, PointCloud2, MarkerArray)
        for (topic, heard), kind in zip(self.heard.items(), kinds, strict=True):
            self.peer.create_subscription(kind, f"affordance/{topic}", heard.append, LATCHED)
        self.client = ActionClient(
            self.peer, TransferAffordances, "affordance/transfer_affordances"
        )
        self.feedback = []

    def __enter__(self):
        self.executor = MultiThreadedExecutor(4)
        for node in (self.node, self.peer):
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.node.start()
        assert self.client.wait_for_server(60)
        return self

    def __exit__(self, *exception):
        self.node.close()
        self.executor.shutdown()
        self._thread.join()
        for node in (self.node, self.peer):
            node.destroy_node()

    def _spin(self):
        with contextlib.suppress(ExternalShutdownException):
            spin(self.executor)

    def show(self, mug, *messages, splats=True, sha="a" * 64):
        """Publish objects, and the map with them."""
        header = Header(frame_id="map")
        self._objects.publish(
            SegmentedObjectArray(header=header, objects=list(messages), map_sha256=sha)
        )
        if splats:
            points = points_from_splats(mug.gaussians, torch.full((5000,), MUG))
            xyz = [points_from_msg(m.cloud)[["x", "y", "z"]] for m in messages]
            keep = np.isin(points[["x", "y", "z"]], np.concatenate(xyz)) if xyz else [0]
            self._splats.publish(msg_from_points(points[keep], header))

    def goal(self, **request):
        """Send a goal; return its handle."""
        request = {"sources": "mugs"} | request
        sent = self.client.send_goal_async(
            TransferAffordances.Goal(**request),
            feedback_callback=lambda msg: self.feedback.append(msg.feedback),
        )
        wait_until(sent.done)
        assert sent.result().accepted
        return sent.result()

    def result(self, handle, patience_s=PATIENCE_S):
        """Wait for a goal's result; return status and result."""
        got = handle.get_result_async()
        wait_until(got.done, patience_s)
        return got.result().status, got.result().result

    def newest(self, topic):
        """Return what was heard last on a topic."""
        return self.heard[topic][-1]


@pytest.fixture
def truth(mug, monkeypatch):
    """Transfers are right at once; each view takes `truth.view_s`."""
    told = SimpleNamespace(view_s=0.0, count=0, finished=0)

    def transfer(rasterizer, ids, views, sources, descriptor, options, on_view):
        told.count += 1
        for done in range(1, len(views) + 1):
            time.sleep(told.view_s)
            on_view(done, len(views))
        told.finished += 1
        scores = torch.nn.functional.one_hot(mug.labels[: len(ids)].long(), 3).float() * 0.9
        return AffordanceScores.of(CLASSES, scores)

    monkeypatch.setattr(transfers, "transfer", transfer)
    monkeypatch.setattr(
        transfers, "load_sources", lambda path, descriptor: SimpleNamespace(classes=CLASSES)
    )
    return told


@pytest.fixture
def peer(ros, truth):
    with Peer(map_patience_s=1.0, views=4) as peer:
        yield peer


def test_regions_of_an_object_are_published_and_latched(peer, mug):
    peer.show(mug, object_msg(mug))
    status, result = peer.result(peer.goal(object_ids=[MUG]))
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    assert [f.stage for f in peer.feedback][:2] == ["sources", "views"]
    assert (peer.feedback[-1].views_done, peer.feedback[-1].objects_total) == (4, 1)
    wait_until(lambda: peer.heard["affordances"] and peer.newest("affordances").affordances)
    array = peer.newest("affordances")
    assert array.class_names == CLASSES
    assert array.map_sha256 == "a" * 64
    assert {region.name for region in array.affordances} == {"handle", "inside"}
    handle = next(region for region in array.affordances if region.name == "handle")
    assert (handle.object_id, handle.object_name, handle.object_revision) == (MUG, "mug", 1)
    assert handle.gaussian_count == int((mug.labels == 1).sum()) == handle.cloud.width
    assert handle.score == pytest.approx(0.9)
    assert 0.006 < handle.graspable_width < 0.02
    assert float(pose_from_msg(handle.pose)[0, 2]) > 0.9, "outward is toward +x"
    cloud = points_from_msg(handle.cloud)
    assert cloud.dtype.names[-3:] == ("object_id", "affordance", "score")
    assert set(cloud["affordance"]) == {1}
    late = []
    peer.peer.create_subscription(AffordanceArray, "affordance/affordances", late.append, LATCHED)
    wait_until(lambda: late and late[0].affordances)


def test_cloud_is_coloured_by_score_and_markers_name_the_regions(peer, mug):
    peer.show(mug, object_msg(mug))
    peer.result(peer.goal())
    wait_until(lambda: peer.heard["markers"] and len(peer.newest("markers").markers) > 1)
    points = points_from_msg(peer.newest("affordance_cloud"))
    assert len(points) == len(mug.gaussians)
    rgb = points["rgb"].copy().view(np.uint32)
    hot, cold = rgb[points["score"] > 0.8], rgb[points["score"] == 0]
    assert ((hot >> 16) > 200).all()
    assert ((cold & 255) > 200).all()
    markers = peer.newest("markers").markers
    assert markers[0].action == Marker.DELETEALL
    texts = [marker.text for marker in markers if marker.type == Marker.TEXT_VIEW_FACING]
    assert any(text.startswith("handle 0.90, ") and text.endswith(" mm") for text in texts)
    assert any(text == "inside 0.90" for text in texts)


def test_regions_go_with_their_object(peer, mug):
    peer.show(mug, object_msg(mug))
    peer.result(peer.goal())
    peer.show(mug, splats=False)
    wait_until(lambda: not peer.newest("affordances").affordances)
    wait_until(lambda: len(peer.newest("markers").markers) == 1)


def test_another_map_forgets_all(peer, mug):
    peer.show(mug, object_msg(mug))
    peer.result(peer.goal())
    peer.show(mug, object_msg(mug), sha="b" * 64)
    wait_until(lambda: not peer.newest("affordances").affordances)
    assert peer.newest("affordances").map_sha256 == "b" * 64


def test_a_new_name_needs_no_new_transfer(peer, mug, truth):
    peer.show(mug, object_msg(mug))
    peer.result(peer.goal())
    peer.show(mug, object_msg(mug, revision=2, name="cup"))
    wait_until(lambda: peer.newest("affordances").affordances[0].object_name == "cup")
    assert peer.newest("affordances").affordances[0].object_revision == 2
    assert truth.count == 1


def test_what_has_changed_is_transferred_again_once_it_is_settled(peer, mug, truth):
    peer.show(mug, object_msg(mug))
    peer.result(peer.goal())
    part = slice(0, 4500)
    peer.show(mug, object_msg(mug, revision=2, rows=part, settled=False))
    time.sleep(0.5)
    assert {a.object_revision for a in peer.newest("affordances").affordances} == {1}, "stale"
    peer.show(mug, object_msg(mug, revision=3, rows=part))
    wait_until(lambda: {a.object_revision for a in peer.newest("affordances").affordances} == {3})
    assert truth.count == 2


def test_a_cancelled_goal_changes_nothing(peer, mug, truth):
    truth.view_s = 0.3
    peer.show(mug, object_msg(mug))
    handle = peer.goal()
    wait_until(lambda: any(f.views_done for f in peer.feedback))
    handle.cancel_goal_async()
    status, result = peer.result(handle)
    assert status == GoalStatus.STATUS_CANCELED
    assert "cancelled" in result.message
    assert not peer.newest("affordances").affordances


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"object_ids": [7]}, "no object 7; there are: [3]"),
        ({"sources": ""}, "parameter 'sources' is ''"),
        ({"rule": "guess"}, "soft | majority"),
        ({"lifting": "guess"}, "votes | features"),
        ({"classes": ["pour"]}, "no class 'pour'; there are: handle, inside"),
        ({"min_score": 2.0}, "parameter 'min_score' is 2.0"),
    ],
)
def test_wrong_goals_are_told_in_one_line(peer, mug, request_, told):
    peer.show(mug, object_msg(mug))
    status, result = peer.result(peer.goal(**request_))
    assert status == GoalStatus.STATUS_ABORTED
    assert told in result.message
    assert "\n" not in result.message


def test_only_the_classes_asked_for_are_regions(peer, mug):
    peer.show(mug, object_msg(mug))
    _, result = peer.result(peer.goal(classes=["handle"]))
    assert [region.name for region in result.affordances.affordances] == ["handle"]


def test_without_objects_or_their_map_the_goal_says_so(peer, mug):
    _, result = peer.result(peer.goal())
    assert "click on things first" in result.message
    peer.show(mug, object_msg(mug), splats=False)
    _, result = peer.result(peer.goal())
    assert "publish_splats" in result.message


def test_deactivating_ends_the_goal_in_hand(peer, mug, truth):
    truth.view_s = 1.0
    peer.show(mug, object_msg(mug))
    peer.goal()
    wait_until(lambda: any(f.views_done for f in peer.feedback))
    peer.node.trigger_deactivate()
    assert truth.finished == 0
    truth.view_s = 0.0
    peer.node.trigger_activate()
    assert peer.client.wait_for_server(60)
    wait_until(lambda: not peer.newest("affordances").affordances)
    status, result = peer.result(peer.goal())
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message


@pytest.mark.parametrize(
    ("folder", "told"), [("", "holds no annotated images"), ("nowhere", "is no folder")]
)
def test_sources_that_are_none_are_told_in_one_line(ros, mug, tmp_path, folder, told):
    with Peer() as peer:
        peer.show(mug, object_msg(mug))
        status, result = peer.result(peer.goal(sources=str(tmp_path / folder)))
    assert status == GoalStatus.STATUS_ABORTED
    assert told in result.message
    assert "\n" not in result.message


@pytest.mark.slow
def test_images_of_a_mug_find_the_handle_of_a_mug(ros, mug, tmp_path):
    rasterizer, cameras = make_rasterizer(mug.gaussians), mug.cameras[:4]
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    for i, camera in enumerate(cameras):
        shown = render_labels(rasterizer, camera, mug.labels + 1)
        write_image(tmp_path / f"{i}.png", rendered_image(rasterizer, camera).image)
        write_label_image(tmp_path / f"{i}.labels.png", (shown - 1).clamp(min=0).numpy())
        mask = (shown > 0).numpy().astype(np.uint8)[..., None].repeat(3, -1) * 255
        write_image(tmp_path / f"{i}.mask.png", mask)
    with Peer(views=4) as peer:
        peer.show(mug, object_msg(mug))
        status, result = peer.result(peer.goal(sources=str(tmp_path)), patience_s=120)
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    handle = next(a for a in result.affordances.affordances if a.name == "handle")
    found = points_from_msg(handle.cloud)[["x", "y", "z"]]
    true = points_from_cloud(mug.cloud)[(mug.labels == 1).numpy()][["x", "y", "z"]]
    assert len(np.intersect1d(found, true)) / len(np.union1d(found, true)) > 0.6
