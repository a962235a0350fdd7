# SPDX-License-Identifier: Apache-2.0
"""From annotated images to an object's Gaussians."""

from collections.abc import Callable, Sequence

from jaxtyping import Int
from torch import Tensor

from ros2_clickgs.core.affordances.lifting import lift_features, lift_votes
from ros2_clickgs.core.affordances.options import AffordanceScores, TransferOptions
from ros2_clickgs.core.affordances.rules import make_rule
from ros2_clickgs.core.affordances.smoothing import smooth
from ros2_clickgs.core.affordances.sources import SourceSet
from ros2_clickgs.core.clicking import PosedImage, rendered_image
from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.core.rasterizer import Rasterizer
from ros2_clickgs.core.types import Camera
from ros2_clickgs.errors import ClickGSError, ConfigError

Progress = Callable[[int, int], None]


def transfer(
    rasterizer: Rasterizer,
    gaussian_ids: Int[Tensor, " M"],
    views: Sequence[PosedImage | Camera],
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
    if sources.descriptor != descriptor.name:
        raise ConfigError("descriptor", descriptor.name, f"{sources.descriptor}, as the sources'")
    rule = make_rule(sources, options)
    lift = {"votes": lift_votes, "features": lift_features}[options.lifting]

    def images():
        for done, view in enumerate(views, 1):
            yield rendered_image(rasterizer, view) if isinstance(view, Camera) else view
            on_view(done, len(views))

    evidence = lift(rasterizer, gaussian_ids, images(), descriptor, rule)
    if not (evidence.visibility > 0).any():
        raise ClickGSError(f"none of {len(views)} views shows the object; give others")
    scores = smooth(evidence, rasterizer.gaussians.select(gaussian_ids), options.smoothing)
    return AffordanceScores.of(sources.classes, scores)
