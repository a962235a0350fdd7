# SPDX-License-Identifier: Apache-2.0
"""Laws of the click segmenter, on pictures made here."""

import functools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ros2_clickgs.core.segmenter import Prompt
from ros2_clickgs.errors import ClickGSError, ShapeError
from ros2_clickgs.models.classical import ClassicalSegmenter

HEIGHT, WIDTH = 120, 160
YELLOW, BROWN, RED = (220, 190, 40), (110, 80, 60), (180, 40, 30)


def click(u: float, v: float) -> Prompt:
    return Prompt(point_coords=np.array([[u, v]], float), point_labels=np.array([True]))


def clicks(positives: list[tuple[float, float]], negatives: list[tuple[float, float]]) -> Prompt:
    labels = np.array([True] * len(positives) + [False] * len(negatives))
    return Prompt(
        point_coords=np.array([*positives, *negatives], float).reshape(-1, 2), point_labels=labels
    )


def disc(u: float, v: float, radius: float) -> np.ndarray:
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    return np.hypot(columns - u, rows - v) < radius


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (HEIGHT, WIDTH, 3))


def picture(*things: tuple[np.ndarray, tuple[int, int, int]]) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), BROWN, float)
    for mask, color in things:
        image[mask] = color
    return np.clip(image + noise(), 0, 255).astype(np.uint8)


def table_depth() -> np.ndarray:
    """A table seen from above, 1.3 m away at the top of the image and 0.9 m at the bottom."""
    inverse = np.linspace(1 / 1.3, 1 / 0.9, HEIGHT)[:, None] * np.ones(WIDTH)
    return (1 / inverse).astype(np.float32)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return (first & second).sum() / (first | second).sum()


@pytest.fixture
def segmenter() -> ClassicalSegmenter:
    return ClassicalSegmenter()


@functools.cache
def segmenter_of_two_discs() -> ClassicalSegmenter:
    segmenter = ClassicalSegmenter()
    segmenter.set_image(picture((disc(45, 60, 20), YELLOW), (disc(115, 60, 15), RED)))
    return segmenter


@pytest.fixture
def two_discs() -> ClassicalSegmenter:
    return segmenter_of_two_discs()


def test_nothing_to_predict_without_an_image(segmenter: ClassicalSegmenter) -> None:
    with pytest.raises(ClickGSError, match="set_image"):
        segmenter.predict([click(3, 3)])


def test_an_empty_list_of_prompts_gives_no_masks(two_discs: ClassicalSegmenter) -> None:
    assert two_discs.predict([]) == []


@pytest.mark.parametrize(
    "prompt", [Prompt(), clicks([], [(3, 3)])], ids=["empty", "negative only"]
)
def test_a_prompt_without_a_place_says_what_to_give(
    two_discs: ClassicalSegmenter, prompt: Prompt
) -> None:
    with pytest.raises(ClickGSError, match="give a positive point, a box or a soft mask"):
        two_discs.predict([prompt])


def test_depth_of_another_size_is_refused(segmenter: ClassicalSegmenter) -> None:
    with pytest.raises(ShapeError, match="depth"):
        segmenter.set_image(picture(), np.ones((10, 10), np.float32))


def test_a_gray_image_is_refused(segmenter: ClassicalSegmenter) -> None:
    with pytest.raises(ShapeError, match="image"):
        segmenter.set_image(np.zeros((HEIGHT, WIDTH), np.uint8))


def test_a_soft_mask_of_another_size_is_refused(two_discs: ClassicalSegmenter) -> None:
    with pytest.raises(ShapeError, match="soft_mask"):
        two_discs.predict([Prompt(soft_mask=np.ones((10, 10), np.float32))])


@pytest.mark.parametrize("depth", [None, np.zeros((HEIGHT, WIDTH), np.float32), table_depth()])
def test_two_colours_part_exactly(segmenter: ClassicalSegmenter, depth: np.ndarray | None) -> None:
    truth = disc(45, 60, 20)
    segmenter.set_image(picture((truth, YELLOW)), depth)
    assert iou(segmenter.predict([click(50, 64)])[0].pixels, truth) > 0.97


def test_each_prompt_gets_its_own_mask(two_discs: ClassicalSegmenter) -> None:
    left, right = two_discs.predict([click(45, 60), click(115, 60)])
    assert iou(left.pixels, disc(45, 60, 20)) > 0.95
    assert iou(right.pixels, disc(115, 60, 15)) > 0.95


def test_a_thing_in_the_table_s_colour_is_found_by_its_height(
    segmenter: ClassicalSegmenter,
) -> None:
    truth = disc(80, 60, 22)
    depth = table_depth() - 0.06 * truth.astype(np.float32)
    segmenter.set_image(picture(), depth)
    assert iou(segmenter.predict([click(76, 55)])[0].pixels, truth) > 0.85


def test_a_print_does_not_split_a_standing_thing(segmenter: ClassicalSegmenter) -> None:
    truth = disc(80, 60, 26)
    depth = table_depth() - 0.1 * truth.astype(np.float32)
    segmenter.set_image(picture((truth, YELLOW), (disc(84, 62, 9), RED)), depth)
    for where in ((62, 60), (84, 62)):
        assert iou(segmenter.predict([click(*where)])[0].pixels, truth) > 0.9


@settings(max_examples=15, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1)),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    positive_count=st.integers(1, 6),
)
def test_every_click_is_obeyed(points: list[tuple[int, int]], positive_count: int) -> None:
    segmenter = segmenter_of_two_discs()
    centers = [(u + 0.5, v + 0.5) for u, v in points]
    prompt = clicks(centers[:positive_count], centers[positive_count:])
    (mask,) = segmenter.predict([prompt])
    u, v = prompt.point_coords.astype(int).T
    np.testing.assert_array_equal(mask.pixels[v, u], prompt.point_labels)
    assert 0 <= mask.score <= 1


def test_a_second_click_adds_the_other_thing(two_discs: ClassicalSegmenter) -> None:
    (mask,) = two_discs.predict([clicks([(45, 60), (115, 60)], [(80, 20)])])
    assert iou(mask.pixels, disc(45, 60, 20) | disc(115, 60, 15)) > 0.9


def test_a_box_bounds_the_mask(two_discs: ClassicalSegmenter) -> None:
    box = np.array([22.0, 37.0, 68.0, 83.0])
    for prompt in (Prompt(box=box), Prompt(box=np.array([22.0, 37.0, 50.0, 60.0]))):
        (mask,) = two_discs.predict([prompt])
        v, u = np.nonzero(mask.pixels)
        assert u.min() >= prompt.box[0] - 1
        assert u.max() <= prompt.box[2]
        assert v.min() >= prompt.box[1] - 1
        assert v.max() <= prompt.box[3]
    (mask,) = two_discs.predict([Prompt(box=box)])
    assert iou(mask.pixels, disc(45, 60, 20)) > 0.9


@pytest.mark.parametrize("box", [(-20.0, -20.0, 400.0, 400.0), (300.0, 300.0, 310.0, 310.0)])
def test_a_box_beyond_the_image_still_answers(two_discs: ClassicalSegmenter, box: tuple) -> None:
    (mask,) = two_discs.predict([Prompt(box=np.array(box))])
    assert mask.pixels.shape == (HEIGHT, WIDTH)


def test_a_soft_mask_is_refined_to_the_image(two_discs: ClassicalSegmenter) -> None:
    truth = disc(45, 60, 20)
    soft = cv2.GaussianBlur(disc(48, 62, 19).astype(np.float32), (0, 0), 3)
    (mask,) = two_discs.predict([Prompt(soft_mask=soft)])
    assert iou(mask.pixels, truth) > max(0.93, iou(soft > 0.5, truth))


def test_clicks_correct_a_soft_mask(two_discs: ClassicalSegmenter) -> None:
    soft = (disc(45, 60, 20) | disc(115, 60, 15)).astype(np.float32)
    prompt = clicks([(45, 60)], [(115, 60)])
    corrected = Prompt(
        point_coords=prompt.point_coords, point_labels=prompt.point_labels, soft_mask=soft
    )
    (mask,) = two_discs.predict([corrected])
    assert iou(mask.pixels, disc(45, 60, 20)) > 0.93


def test_an_empty_soft_mask_gives_an_empty_mask(two_discs: ClassicalSegmenter) -> None:
    (mask,) = two_discs.predict([Prompt(soft_mask=np.zeros((HEIGHT, WIDTH), np.float32))])
    assert not mask.pixels.any()
    assert mask.score == 0


def test_a_mirrored_image_gives_the_mirrored_mask(segmenter: ClassicalSegmenter) -> None:
    image, depth = picture((disc(45, 60, 20), YELLOW), (disc(70, 60, 12), RED)), table_depth()
    segmenter.set_image(image, depth)
    (mask,) = segmenter.predict([click(40.5, 60.5)])
    segmenter.set_image(image[:, ::-1].copy(), depth[:, ::-1].copy())
    (mirrored,) = segmenter.predict([click(WIDTH - 40.5, 60.5)])
    assert iou(mask.pixels, mirrored.pixels[:, ::-1]) > 0.95


def test_the_same_prompt_gets_the_same_answer(two_discs: ClassicalSegmenter) -> None:
    first, second = two_discs.predict([click(45, 60), click(45, 60)])
    np.testing.assert_array_equal(first.pixels, second.pixels)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (9, 7)])
def test_tiny_images_answer(segmenter: ClassicalSegmenter, shape: tuple[int, int]) -> None:
    segmenter.set_image(np.zeros((*shape, 3), np.uint8), np.ones(shape, np.float32))
    (mask,) = segmenter.predict([click(0.5, 0.5)])
    assert mask.pixels.shape == shape
    assert mask.pixels[0, 0]


def test_a_clear_thing_scores_higher_than_a_patch_of_noise(segmenter: ClassicalSegmenter) -> None:
    segmenter.set_image(picture((disc(45, 60, 20), YELLOW)))
    clear, nothing = segmenter.predict([click(45, 60), click(140, 20)])
    assert clear.score > nothing.score
