# SPDX-License-Identifier: Apache-2.0
"""From annotated images to an object's Gaussians."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from jaxtyping import Int
from torch import Tensor

from ros2_clickgs.core.affordances.lifting import LIFTS, Evidence
from ros2_clickgs.core.affordances.options import AffordanceScores, TransferOptions
from ros2_clickgs.core.affordances.rules import make_rule
from ros2_clickgs.core.affordances.smoothing import smooth
from ros2_clickgs.core.affordances.sources import SourceSet
from ros2_clickgs.core.clicking import PosedImage, rendered_image
from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera, Gaussians
from ros2_clickgs.errors import ClickGSError

Progress = Callable[[int, int], None]
View = PosedImage | Camera


def transfer(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    views: Sequence[View],
    sources: SourceSet,
    descriptor: Descriptor,
    options: TransferOptions | None = None,
    on_view: Progress = lambda done, total: None,
) -> AffordanceScores:
    """Score what each Gaussian of an object affords.

    Args:
        rasterizer: of the whole map, or, for rendered views that nothing hides, of the object
            alone (then gaussian_ids count its rows from 0).
        gaussian_ids: rows of the rasterizer's map that are the object.
        views: images of the object; of a camera alone, what the rasterizer's map shows.
        sources: prepared annotations.
        descriptor: the one that the sources were prepared with.
        options: rule, lifting, smoothing.
        on_view: called with (views done, views in all) after each view; what it raises ends the
            transfer.

    Raises:
        ConfigError: the sources were prepared with another descriptor.
        ClickGSError: no view shows the object.
    """
    options = options or TransferOptions()
    looked = counted(views, on_view)
    evidence = gather(rasterizer, gaussian_ids, looked, sources, descriptor, options)
    gaussians = rasterizer.gaussians.select(gaussian_ids.to(rasterizer.gaussians.device))
    return decide(evidence, gaussians, sources, options)


def gather(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    views: Iterable[View],
    sources: SourceSet,
    descriptor: Descriptor,
    options: TransferOptions,
) -> Evidence:
    """Return what views say; see `transfer`. What different views say adds up."""
    sources.check_descriptor(descriptor)
    images = (
        rendered_image(rasterizer, view) if isinstance(view, Camera) else view for view in views
    )
    rule = make_rule(sources, options)
    return LIFTS[options.lifting](rasterizer, gaussian_ids, images, descriptor, rule)


def counted(views: Sequence[View], on_view: Progress) -> Iterator[View]:
    """Yield the views and tell after each how many are done."""
    for done, view in enumerate(views, 1):
        yield view
        on_view(done, len(views))


def decide(
    evidence: Evidence, gaussians: Gaussians, sources: SourceSet, options: TransferOptions
) -> AffordanceScores:
    """Return the scores of an object's Gaussians that follow from what views said.

    Raises:
        ClickGSError: no view shows the object.
    """
    if not (evidence.visibility > 0).any():
        raise ClickGSError("no view shows the object; give others, nearer to it")
    return AffordanceScores.of(sources.classes, smooth(evidence, gaussians, options.smoothing))
