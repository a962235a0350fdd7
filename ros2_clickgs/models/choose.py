# SPDX-License-Identifier: Apache-2.0
"""Which 2D segmenter a name means here."""

import logging

from ros2_clickgs.core.segmenter import Segmenter
from ros2_clickgs.errors import BackendUnavailableError, ConfigError

SEGMENTERS = ("auto", "sam2", "classical")

log = logging.getLogger(__name__)


def make_segmenter(name: str = "auto") -> Segmenter:
    """Return the 2D segmenter called `name`; `auto` takes the best one that is there and says so.

    Raises:
        ConfigError: no segmenter is called so.
        BackendUnavailableError: it was asked for by name and cannot work here.
    """
    if name not in SEGMENTERS:
        raise ConfigError("segmenter", name, " | ".join(SEGMENTERS))
    if name == "sam2":
        remedy = "choose segmenter: classical"
        raise BackendUnavailableError("sam2", "its adapter is not part of this version", remedy)
    from ros2_clickgs.models.classical import ClassicalSegmenter

    if name == "auto":
        log.info("segmenter auto: classical (colour and map depth; SAM 2 draws better masks)")
    return ClassicalSegmenter()
