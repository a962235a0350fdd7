# SPDX-License-Identifier: Apache-2.0
"""Which 2D segmenter a name means here."""

import logging

from ros2_clickgs.core.segmenter import AutomaticSegmenter
from ros2_clickgs.errors import ConfigError
from ros2_clickgs.models.classical import ClassicalSegmenter
from ros2_clickgs.models.sam2_weights import (
    HUB_ID,
    VARIABLE,
    cached_checkpoint,
    is_installed,
    load_sam2,
    named_checkpoint,
)

SEGMENTERS = ("auto", "sam2", "classical")

log = logging.getLogger(__name__)


def make_segmenter(name: str = "auto", checkpoint: str = "") -> AutomaticSegmenter:
    """Return the 2D segmenter called `name`; `auto` takes the best one that is there and says so.

    Args:
        name: `auto` takes SAM 2 where its weights are, and downloads nothing.
        checkpoint: SAM 2's weights, a .pt file or a hub id; empty: those that the environment
            names, else the hub's default ones.

    Raises:
        ConfigError: no segmenter is called so.
        ClickGSError: SAM 2 was asked for by name, or weights were, and they cannot be had.
    """
    if name not in SEGMENTERS:
        raise ConfigError("segmenter", name, " | ".join(SEGMENTERS))
    if name == "classical":
        return ClassicalSegmenter()
    named = named_checkpoint(checkpoint)
    if name == "sam2":
        return sam2_with(named or HUB_ID)
    if not is_installed():
        log.info("segmenter auto: classical (sam2, which draws better masks, is not installed)")
        return ClassicalSegmenter()
    if not (found := named or cached_checkpoint()):
        log.info("segmenter auto: classical (no weights of SAM 2; %s may name them)", VARIABLE)
        return ClassicalSegmenter()
    log.info("segmenter auto: sam2 (weights: %s)", found)
    return sam2_with(found)


def sam2_with(checkpoint: str) -> AutomaticSegmenter:
    """Return SAM 2 with these weights."""
    model = load_sam2(checkpoint)
    from ros2_clickgs.models.sam2 import Sam2Segmenter

    return Sam2Segmenter(model)
