# SPDX-License-Identifier: Apache-2.0
"""Every object tells on /diagnostics how often it was seen and which masks were not accepted."""

import torch
from builtin_interfaces.msg import Time

from ros2_clickgs.core.gates import Objection
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.nodes.diagnostics import Diagnostics, facts_of_objects
from tests.core.blobs import blob_map
from tests.core.sessions import StillRasterizer


def test_each_object_has_a_status_of_its_own():
    objects = ObjectMap(StillRasterizer(blob_map()))
    mug, cup = objects.create("mug"), objects.create("cup")
    objects.replace_votes(mug, objects.votes(mug), [torch.zeros(3)] * 2)
    objects.judge(mug, False, {Objection.HIDDEN: 1, Objection.DISAGREES: 2})
    report = Diagnostics("segmenter").report(Time(), {}, facts_of_objects(objects.state))
    node, of_mug, of_cup = report.status
    assert node.name == "segmenter"
    assert of_mug.name == f"segmenter: object {mug} mug"
    assert {pair.key: pair.value for pair in of_mug.values} == {
        "views": "2",
        "settled": "False",
        "not asked: hidden by other things": "1",
        "rejected: disagrees with the map": "2",
    }
    assert {pair.key for pair in of_cup.values} == {"views", "settled"}
    assert of_cup.name == f"segmenter: object {cup} cup"
