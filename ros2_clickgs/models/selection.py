# SPDX-License-Identifier: Apache-2.0
"""Which regions of the tree a prompt means."""

import numpy as np
from jaxtyping import Bool, Float, Int

from ros2_clickgs.models.hierarchy import RegionTree

CONTRAST_CAP = 6.0
"""Separations above this are all the same."""
TYPICAL_SHARE = 0.1
"""Clicked things fill little of an image: a share a of it counts exp(-a / TYPICAL_SHARE)."""
SPLIT_COST_PX = 20.0
"""Pixels of a soft mask that must be gained before a region is cut into its parts."""


def distinctness(
    tree: RegionTree, areas: Float[np.ndarray, " R"], typical_share: float = TYPICAL_SHARE
) -> Float[np.ndarray, " R"]:
    """Return how much each region looks like a thing: small, and well apart from the rest.

    Args:
        tree: nested regions.
        areas: pixels of each region; the root's are the image's.
        typical_share: share of the image that such things fill.
    """
    return contrast(tree) * np.exp(-areas / areas[-1] / typical_share)


def contrast(tree: RegionTree) -> Float[np.ndarray, " R"]:
    """Return how far each region is from its nearest neighbour, in [0, 1]."""
    return np.minimum(tree.heights, CONTRAST_CAP)[tree.parents] / CONTRAST_CAP


def choose_regions(
    tree: RegionTree,
    worth: Float[np.ndarray, " R"],
    positives: Int[np.ndarray, " P"],
    negatives: Int[np.ndarray, " Q"],
    allowed: Bool[np.ndarray, " R"],
) -> list[int]:
    """Return the best allowed region around every positive patch that holds no negative one.

    A region that holds several of the positives counts more; a positive patch is always allowed.
    """
    hits, misses = (
        tree.totals(np.bincount(x, minlength=tree.patch_count)) for x in (positives, negatives)
    )
    fit = np.where((misses == 0) & allowed, worth * (hits / max(len(positives), 1)) ** 2, -1)
    chosen = []
    for patch in positives:
        chain = tree.chain(int(patch))
        chosen.append(chain[int(fit[chain].argmax())])
    return chosen


def largest_allowed(tree: RegionTree, allowed: Bool[np.ndarray, " R"]) -> list[int]:
    """Return the allowed regions that no other allowed one holds."""
    top = allowed & ~(allowed[tree.parents] & (tree.parents != np.arange(len(allowed))))
    return np.nonzero(top)[0].tolist()


def follow_soft_mask(
    tree: RegionTree, areas: Float[np.ndarray, " R"], mass: Float[np.ndarray, " R"]
) -> list[int]:
    """Return the regions whose union is nearest to a soft mask, cut no finer than it pays.

    Args:
        tree: nested regions.
        areas: pixels of each region.
        mass: sum of the soft mask over each region.
    """
    wrong_if_in, wrong_if_out = areas - mass, mass
    cost = np.minimum(wrong_if_in, wrong_if_out)
    parts = np.zeros_like(cost)
    is_cut = np.zeros(len(cost), bool)
    for region, parent in enumerate(tree.parents):
        if region >= tree.patch_count and parts[region] + SPLIT_COST_PX < cost[region]:
            cost[region], is_cut[region] = parts[region] + SPLIT_COST_PX, True
        if parent != region:
            parts[parent] += cost[region]
    reached = is_cut[tree.parents]
    reached[-1] = True
    for region in range(len(cost) - 2, -1, -1):
        reached[region] &= reached[tree.parents[region]]
    return np.nonzero(reached & ~is_cut & (wrong_if_in < wrong_if_out))[0].tolist()
