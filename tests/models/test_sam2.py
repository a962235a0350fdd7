# SPDX-License-Identifier: Apache-2.0
"""The SAM 2 adapter on Meta's architecture with random weights: laws, not accuracy."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("sam2")

from sam2.build_sam import build_sam2
from sam2.utils.amg import build_all_layer_point_grids

from ros2_clickgs.core.segmenter import AutomaticSegmenter, Mask, Prompt
from ros2_clickgs.errors import ClickGSError, ShapeError
from ros2_clickgs.models import sam2 as adapter
from ros2_clickgs.models.sam2 import Sam2Segmenter, best_of_four
from ros2_clickgs.models.sam2_embeddings import RememberingPredictor
from ros2_clickgs.models.sam2_prompts import NOTHING, encode

HEIGHT, WIDTH = 90, 120
TINY = "configs/sam2.1/sam2.1_hiera_t.yaml"
CHECKPOINT = os.environ.get("CLICKGS_SAM2_CHECKPOINT", "")


@pytest.fixture(scope="module")
def model():
    """Hiera tiny on images of 256 px: sixteen times less to compute."""
    torch.manual_seed(0)
    return build_sam2(TINY, device="cpu", hydra_overrides_extra=["++model.image_size=256"])


@pytest.fixture(scope="module")
def shared(model) -> Sam2Segmenter:
    return Sam2Segmenter(model)


@pytest.fixture
def segmenter(shared: Sam2Segmenter) -> Sam2Segmenter:
    shared.set_image(noise(0))
    return shared


def noise(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def clicks(*uv: tuple[float, float], **more) -> Prompt:
    labels = np.ones(len(uv), bool)
    return Prompt(point_coords=np.array(uv, float).reshape(-1, 2), point_labels=labels, **more)


def blob(u: float, v: float, radius: float = 20) -> np.ndarray:
    rows, columns = np.indices((HEIGHT, WIDTH)) + 0.5
    return (np.hypot(columns - u, rows - v) < radius).astype(np.float32)


POINT = clicks((30.5, 40.5))
POINTS = clicks((30.5, 40.5), (60.5, 20.5))
BOX = Prompt(box=np.array([20.0, 10.0, 80.0, 70.0]))
SOFT = Prompt(soft_mask=blob(60, 45))
ALL = clicks((60, 45), box=np.array([30.0, 20.0, 90.0, 70.0]), soft_mask=blob(60, 45))
EVERY_KIND = [POINT, POINTS, BOX, SOFT, ALL]


def same(first: Mask, second: Mask) -> bool:
    close = first.score == pytest.approx(second.score, abs=1e-4)
    return close and (first.pixels != second.pixels).mean() < 1e-3


def test_it_is_an_automatic_segmenter(segmenter: Sam2Segmenter) -> None:
    assert isinstance(segmenter, AutomaticSegmenter)


def test_nothing_is_answered_without_an_image(model) -> None:
    empty = Sam2Segmenter(model)
    for ask in (lambda: empty.predict([POINT]), empty.everything):
        with pytest.raises(ClickGSError, match="set_image"):
            ask()


def test_no_prompts_no_masks(segmenter: Sam2Segmenter) -> None:
    assert segmenter.predict([]) == []


@pytest.mark.parametrize("prompt", EVERY_KIND)
def test_every_kind_of_prompt_gets_a_mask_of_the_images_size(
    segmenter: Sam2Segmenter, prompt: Prompt
) -> None:
    (mask,) = segmenter.predict([prompt])
    assert mask.pixels.shape == (HEIGHT, WIDTH)
    assert mask.pixels.dtype == bool
    assert 0 <= mask.score <= 1
    assert 0 <= mask.stability <= 1


@pytest.mark.parametrize("prompts", [[POINT, clicks((90, 50))], [ALL, ALL], [SOFT, BOX]])
def test_prompts_of_one_length_are_answered_as_if_alone(
    segmenter: Sam2Segmenter, prompts: list[Prompt]
) -> None:
    together = segmenter.predict(prompts)
    alone = [segmenter.predict([prompt])[0] for prompt in prompts]
    assert all(map(same, together, alone))


def test_all_prompts_go_through_the_decoder_at_once(
    segmenter: Sam2Segmenter, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    decode = model.sam_mask_decoder.predict_masks
    monkeypatch.setattr(
        model.sam_mask_decoder, "predict_masks", lambda **k: calls.append(1) or decode(**k)
    )
    assert len(segmenter.predict(EVERY_KIND)) == len(EVERY_KIND)
    assert len(calls) == 1


def test_meta_s_own_predictor_answers_the_same(segmenter: Sam2Segmenter, model) -> None:
    """Their pixels' centres are integers in the network's image, ours are at +0.5 in the photo."""
    shift = np.array([WIDTH, HEIGHT]) / (2 * model.image_size)
    theirs = RememberingPredictor(model)
    theirs.set_image(noise(0))
    given = [
        {"point_coords": POINTS.point_coords - shift, "point_labels": [1, 1]},
        {"box": (BOX.box.reshape(2, 2) - shift).ravel()},
        {"point_coords": POINT.point_coords - shift, "point_labels": [1]},
    ]
    for prompt, arguments in zip([POINTS, BOX, POINT], given, strict=True):
        (mask,) = segmenter.predict([prompt])
        masks, scores, _ = theirs.predict(**arguments, multimask_output=prompt is POINT)
        best = scores.argmax()
        assert same(mask, Mask(pixels=masks[best] > 0, score=float(scores[best])))


def test_a_clear_prompt_gets_the_first_mask_unless_it_is_unstable() -> None:
    stable, unstable = torch.full((8, 8), 9.0), torch.full((8, 8), -0.01)
    unstable[0, 0] = 9.0
    logits = torch.stack([torch.stack([first, *[stable] * 3]) for first in (stable, unstable)])
    ious = torch.tensor([[0.1, 0.2, 0.9, 0.3]]).repeat(2, 1)
    assert best_of_four(logits, ious, torch.tensor([False, False])).tolist() == [0, 2]
    assert best_of_four(logits, ious, torch.tensor([True, True])).tolist() == [2, 2]


def test_shorter_prompts_are_filled_up() -> None:
    batch = encode(EVERY_KIND, (HEIGHT, WIDTH), 256)
    assert batch.coords.shape == (5, 3, 2)
    assert batch.labels.tolist() == [
        [1, NOTHING, NOTHING],
        [1, 1, NOTHING],
        [2, 3, NOTHING],
        [2, 3, NOTHING],  # the box around the soft mask
        [2, 3, 1],
    ]
    assert batch.has_mask.tolist() == [False, False, False, True, True]
    assert batch.is_ambiguous.tolist() == [True, False, False, False, False]
    assert batch.soft_masks.shape == (5, 1, 64, 64)
    assert batch.soft_masks[3].max() == pytest.approx(6.9, abs=0.1)


def test_points_lie_where_the_stretched_image_has_them() -> None:
    batch = encode([clicks((0, 0), (WIDTH, HEIGHT / 2))], (HEIGHT, WIDTH), 256)
    assert batch.coords[0].tolist() == [[-0.5, -0.5], [255.5, 127.5]]


def test_a_soft_mask_matters(segmenter: Sam2Segmenter) -> None:
    with_mask, without = segmenter.predict([ALL, clicks((60, 45), box=ALL.box)])
    assert not same(with_mask, without)


def test_an_empty_soft_mask_gives_an_empty_mask(segmenter: Sam2Segmenter) -> None:
    empty = Prompt(soft_mask=np.zeros((HEIGHT, WIDTH), np.float32))
    masks = segmenter.predict([empty, POINT, empty])
    assert [mask.pixels.any() for mask in masks[::2]] == [False, False]
    assert same(masks[1], segmenter.predict([POINT])[0])


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        (Prompt(), "nowhere"),
        (Prompt(point_coords=np.ones((1, 2)), point_labels=np.array([False])), "nowhere"),
        (Prompt(soft_mask=np.zeros((3, 3), np.float32)), "soft_mask"),
    ],
)
def test_unusable_prompts_are_refused(
    segmenter: Sam2Segmenter, prompt: Prompt, error: str
) -> None:
    with pytest.raises(ClickGSError, match=error):
        segmenter.predict([prompt])


def test_unusable_images_are_refused(segmenter: Sam2Segmenter) -> None:
    with pytest.raises(ShapeError, match="image"):
        segmenter.set_image(noise(0)[..., 0])
    with pytest.raises(ShapeError, match="depth"):
        segmenter.set_image(noise(0), np.zeros((3, 3), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 200)])
def test_images_of_any_size_answer(shared: Sam2Segmenter, size: tuple[int, int]) -> None:
    shared.set_image(noise(1, *size))
    (mask,) = shared.predict([clicks((0.5, 0.5))])
    assert mask.pixels.shape == size


class Counted:
    """How often the image encoder runs."""

    def __init__(self, model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.forward = model.forward_image
        monkeypatch.setattr(model, "forward_image", self)

    def __call__(self, image: torch.Tensor) -> dict:
        self.count += 1
        return self.forward(image)


def test_an_image_is_embedded_once(model, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, segmenter = Counted(model, monkeypatch), Sam2Segmenter(model)
    masks = []
    for seed in (2, 3, 2):
        segmenter.set_image(noise(seed))  # equal, but another array
        masks += segmenter.predict([POINT])
    assert encoder.count == 2
    assert same(masks[0], masks[2])
    assert not same(masks[0], masks[1])


def test_an_image_that_was_changed_is_embedded_anew(
    model, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, segmenter = Counted(model, monkeypatch), Sam2Segmenter(model)
    image = noise(2)
    segmenter.set_image(image)
    image[0, 0] += 1
    segmenter.set_image(image)
    assert encoder.count == 2


def test_the_embedding_used_longest_ago_goes_first(model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ros2_clickgs.models.sam2_embeddings.REMEMBERED", 2)
    encoder, segmenter = Counted(model, monkeypatch), Sam2Segmenter(model)
    for seed in (2, 3, 2, 4, 2, 3):
        segmenter.set_image(noise(seed))
    assert encoder.count == 4


@pytest.fixture
def few_points(segmenter: Sam2Segmenter, monkeypatch: pytest.MonkeyPatch) -> Sam2Segmenter:
    """Takes any mask of a grid of 4x4 points."""
    monkeypatch.setattr(segmenter.generator, "point_grids", build_all_layer_point_grids(4, 0, 1))
    monkeypatch.setattr(segmenter.generator, "pred_iou_thresh", 0.0)
    monkeypatch.setattr(segmenter.generator, "stability_score_thresh", 0.0)
    return segmenter


def test_everything_gives_masks_with_scores(
    few_points: Sam2Segmenter, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Counted(model, monkeypatch)
    masks = few_points.everything()
    assert masks
    for mask in masks:
        assert mask.pixels.shape == (HEIGHT, WIDTH)
        assert mask.pixels.dtype == bool
        assert 0 <= mask.score <= 1
        assert 0 <= mask.stability <= 1
    assert encoder.count == 0, "the image's embedding is known"


def test_after_everything_prompts_are_answered_as_before(few_points: Sam2Segmenter) -> None:
    before = few_points.predict([POINT])
    few_points.everything()
    assert same(before[0], few_points.predict([POINT])[0])


def test_masks_of_low_quality_are_no_things(segmenter: Sam2Segmenter, few_points) -> None:
    segmenter.generator.pred_iou_thresh = 1.0
    assert segmenter.everything() == []


def test_half_precision_answers_alike(
    few_points: Sam2Segmenter, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does, on a CPU: bfloat16 keeps 8 bits."""
    (exact,) = few_points.predict([POINTS])
    monkeypatch.setattr(adapter, "half_precision", lambda _: torch.autocast("cpu", torch.bfloat16))
    half = Sam2Segmenter(model)
    half.set_image(noise(0))
    (mask,) = half.predict([POINTS])
    assert mask.score == pytest.approx(exact.score, abs=0.05)
    assert few_points.everything()


@pytest.mark.weights
@pytest.mark.data
@pytest.mark.skipif(not CHECKPOINT, reason="CLICKGS_SAM2_CHECKPOINT names no weights of SAM 2")
def test_trained_weights_find_the_truck(data: Path) -> None:
    """The points, and the mask that contains them, of Meta's own example."""
    from ros2_clickgs.models.choose import make_segmenter

    image = cv2.imread(str(data / "images_sam2/images/truck.jpg"))[..., ::-1]
    segmenter = make_segmenter("sam2")
    segmenter.set_image(np.ascontiguousarray(image))
    window, truck = segmenter.predict([clicks((500, 375)), clicks((500, 375), (1125, 625))])
    assert min(window.score, truck.score) > 0.7
    assert truck.pixels[375, 500]
    assert truck.pixels[625, 1125]
    assert 0.15 < truck.pixels.mean() < 0.5
    assert not truck.pixels[:100].any(), "the sky"
    (again,) = segmenter.predict([Prompt(soft_mask=truck.pixels.astype(np.float32))])
    assert (again.pixels & truck.pixels).sum() > 0.8 * (again.pixels | truck.pixels).sum()
