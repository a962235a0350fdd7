# SPDX-License-Identifier: Apache-2.0
"""Everything in a picture without a prompt: laws of the classical masks and of the two levels."""

import numpy as np
import pytest
import torch

from ros2_clickgs.core.segmenter import AutomaticSegmenter, Mask, Prompt
from ros2_clickgs.core.types import IGNORE
from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.models.automatic import two_level_masks
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.models.everything import at_home
from tests.models.test_classical import (
    HEIGHT,
    RED,
    WIDTH,
    YELLOW,
    disc,
    iou,
    picture,
    table_depth,
)

LEFT, RIGHT = disc(45, 60, 20), disc(115, 60, 15)


class Given:
    """Masks that were made by hand."""

    name = "given"

    def __init__(self, *masks: Mask) -> None:
        self.masks = list(masks)

    def set_image(self, image: np.ndarray, depth: np.ndarray | None = None) -> None:
        pass

    def predict(self, prompts: list[Prompt]) -> list[Mask]:
        raise AssertionError("nobody is asked")

    def everything(self) -> list[Mask]:
        return self.masks


def test_the_classical_segmenter_is_an_automatic_one() -> None:
    assert isinstance(ClassicalSegmenter(), AutomaticSegmenter)


def test_nothing_to_find_without_an_image() -> None:
    with pytest.raises(ClickGSError, match="set_image"):
        ClassicalSegmenter().everything()


@pytest.mark.parametrize("depth", [None, table_depth()])
def test_every_thing_has_a_label_of_its_own(depth: np.ndarray | None) -> None:
    image = picture((LEFT, YELLOW), (RIGHT, RED))
    coarse, fine = two_level_masks(ClassicalSegmenter(), image, depth)
    for labels in (coarse.numpy(), fine.numpy()):
        for truth in (LEFT, RIGHT):
            assert iou(labels == labels[truth][0], truth) > 0.9


def test_a_part_lies_in_one_thing() -> None:
    stripe = LEFT & (np.indices((HEIGHT, WIDTH))[1] < 40)
    image = picture((LEFT, YELLOW), (stripe, (240, 120, 40)), (RIGHT, RED))
    coarse, fine = two_level_masks(ClassicalSegmenter(), image)
    for label in fine.unique():
        assert len(coarse[fine == label].unique()) == 1


def test_what_lies_outside_a_part_s_thing_is_dropped() -> None:
    things = np.array([[0, 0, 0, 1, 1, -1]])
    parts = np.array([[5, 5, -1, 5, 2, -1]])
    assert at_home(parts, things).tolist() == [[5, 5, -1, -1, 2, -1]]


def test_scores_are_shares_and_masks_have_the_images_size() -> None:
    segmenter = ClassicalSegmenter()
    segmenter.set_image(picture((LEFT, YELLOW)))
    for mask in segmenter.everything():
        assert mask.pixels.shape == (HEIGHT, WIDTH)
        assert mask.pixels.any()
        assert 0 <= mask.score <= 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (40, 40)])
def test_images_without_a_thing_answer(shape: tuple[int, int]) -> None:
    coarse, fine = two_level_masks(ClassicalSegmenter(), np.full((*shape, 3), 90, np.uint8))
    assert coarse.shape == fine.shape == shape


def test_without_masks_all_is_unlabelled() -> None:
    coarse, fine = two_level_masks(Given(), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert (coarse == IGNORE).all()
    assert torch.equal(coarse, fine)


def test_a_whole_is_coarse_and_its_part_is_fine() -> None:
    part = disc(45, 60, 8)
    masks = Given(Mask(pixels=part, score=0.1), Mask(pixels=LEFT, score=0.9))
    coarse, fine = two_level_masks(masks, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert torch.equal(coarse != IGNORE, torch.from_numpy(LEFT))
    assert len(coarse[torch.from_numpy(LEFT)].unique()) == 1
    assert len(fine[torch.from_numpy(LEFT)].unique()) == 2
