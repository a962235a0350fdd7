# SPDX-License-Identifier: Apache-2.0
"""Objects grow with the images that come: the map looks for them there, and their masks vote."""

from collections import Counter
from collections.abc import Iterator

import torch

from ros2_clickgs.core.gates import (
    Objection,
    objection_counts,
    objection_to_mask,
    objection_to_view,
    sight_of,
)
from ros2_clickgs.core.guidance import guided_prompt, predict
from ros2_clickgs.core.looking import SETTLED, Step, change
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.posed_image import PosedImage, with_depth
from ros2_clickgs.core.segmenter import Mask, Prompt, Segmenter
from ros2_clickgs.core.types import BACKGROUND
from ros2_clickgs.core.votes import cast_votes


def grow(
    objects: ObjectMap, segmenter: Segmenter, image: PosedImage, ids: list[int]
) -> Iterator[Step]:
    """Let an image vote on objects that are there already; no tracker, so nothing drifts.

    Each object is splatted into the view. Where that shows it well enough it prompts the
    segmenter, for all of them at once; a mask that it is unsure of, or that disagrees with the
    map, does not vote.

    Yields:
        After every step, so that other work can be done in between: the id of the object that has
        changed, or 0.
    """
    prompts: dict[int, Prompt] = {}
    for object_id in ids:
        prompt = prompt_for(objects, image, object_id)
        if prompt is not None:
            prompts[object_id] = prompt
        yield 0
    if not prompts:
        return
    segmenter.set_image(image.image, image.depth)
    yield 0
    masks = segmenter.predict(list(prompts.values()))
    for object_id, mask in zip(prompts, masks, strict=True):
        if object_id in objects.ids:
            yield vote(objects, image, object_id, mask)


def prompt_for(objects: ObjectMap, image: PosedImage, object_id: int) -> Prompt | None:
    """Return how the map asks for an object in an image; None where it does not show it."""
    rasterizer, labels = objects.rasterizer, objects.labels()
    members = labels == object_id
    others = (labels > BACKGROUND) & ~members
    votes = objects.votes(object_id)
    prediction = predict(rasterizer, image.camera, members, votes, others)
    depth = with_depth(rasterizer, image).depth
    means = rasterizer.gaussians.means[members]
    if objection_to_view(sight_of(image.camera, means, prediction.soft, depth)):
        return None
    return guided_prompt(prediction)


def vote(objects: ObjectMap, image: PosedImage, object_id: int, mask: Mask) -> Step:
    """Let a mask vote on an object unless something speaks against it."""
    pixels = torch.from_numpy(mask.pixels).int()
    votes = cast_votes(objects.rasterizer, image.camera, pixels, 1)
    objection = objection_to_mask(mask.score, votes, objects.votes(object_id))
    ballot = objects.state.ballot(object_id)
    rejected = objection_counts(ballot)
    before = objects.labels() == object_id
    if objection is None and objects.integrate(image.camera, pixels, [object_id]):
        objection = Objection.DISAGREES
    if objection:
        objects.judge(object_id, ballot.settled, rejected + Counter([objection]))
        return 0
    settled = change(before, objects.labels() == object_id) <= SETTLED
    objects.judge(object_id, settled, rejected)
    return object_id
