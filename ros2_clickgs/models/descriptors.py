# SPDX-License-Identifier: Apache-2.0
"""Which dense descriptor a name means here."""

import logging

from ros2_clickgs.core.descriptor import Descriptor
from ros2_clickgs.errors import ConfigError

DESCRIPTORS = ("auto", "dinov2", "dense")

log = logging.getLogger(__name__)


def make_descriptor(name: str = "auto", checkpoint: str = "") -> Descriptor:
    """Return the descriptor called `name`; `auto` is DINOv2 where a checkpoint is given.

    Args:
        name: one of DESCRIPTORS.
        checkpoint: DINOv2's weights: a local file or a hub id.

    Raises:
        ConfigError: no descriptor is called so.
        BackendUnavailableError: its library or weights cannot be had.
    """
    if name not in DESCRIPTORS:
        raise ConfigError("descriptor", name, " | ".join(DESCRIPTORS))
    if name == "dinov2" or (name == "auto" and checkpoint):
        from ros2_clickgs.models.dinov2 import DINOv2Descriptor

        return DINOv2Descriptor.load(checkpoint)
    from ros2_clickgs.models.dense import DenseDescriptor

    if name == "auto":
        log.info("descriptor auto: dense (outline and shading; DINOv2 compares more than shape)")
    return DenseDescriptor()
