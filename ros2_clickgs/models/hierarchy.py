# SPDX-License-Identifier: Apache-2.0
"""Patches merge in the order of how little separates them: a tree of regions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ros2_clickgs.models import patches
from ros2_clickgs.models.patches import PatchGraph

LEVELS = np.append(np.geomspace(0.05, 12, 45), np.inf)
"""Separations at which regions merge, smallest first; at the last one everything does."""
CREASE, EDGE, COLOR, STANDING = 2.0, 0.82, 2.45, 4.1
"""What each cue counts; fitted, as the numbers below, on built-in scenes and real frames."""
EDGE_CAP, COLOR_CAP = 3.4, 3.5
"""Stronger edges and colour differences count as these."""
SHARED_DISCOUNT, ENCLOSED_DISCOUNT = 0.75, 0.36
"""How much less colour counts between regions before one plane, and all if one encloses."""
CRUMB_PX = 57
"""Regions around this size and smaller merge early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTree:
    """Nested regions: the patches first, then every merger, parts before the whole."""

    parents: Int[np.ndarray, " R"]
    """Region that swallows this one; the root is its own parent."""
    heights: Float[np.ndarray, " R"]
    """Separation at which the region came into being; 0 for patches."""
    patch_count: int
    """The first so many regions are the patches."""

    def chain(self, region: int) -> list[int]:
        """Return the regions around a region, from itself to the root."""
        found = [region]
        while self.parents[found[-1]] != found[-1]:
            found.append(int(self.parents[found[-1]]))
        return found

    def totals(self, values: Float[np.ndarray, " L"]) -> Float[np.ndarray, " R"]:
        """Return every region's sum of a value that patches have."""
        sums = np.zeros(len(self.parents))
        sums[: self.patch_count] = values
        for region, parent in enumerate(self.parents[:-1]):
            sums[parent] += sums[region]
        return sums

    def members(self, regions: list[int]) -> Bool[np.ndarray, " L"]:
        """Return the patches that lie in any of the regions."""
        inside = np.zeros(len(self.parents), bool)
        inside[regions] = True
        for region in range(len(self.parents) - 2, -1, -1):
            inside[region] |= inside[self.parents[region]]
        return inside[: self.patch_count]


def separation(
    first: Float[np.ndarray, "E F"],
    second: Float[np.ndarray, "E F"],
    borders: Float[np.ndarray, "E 3"],
    enclosed: Float[np.ndarray, " E"],
) -> Float[np.ndarray, " E"]:
    """Return how much speaks against two neighbours being one thing.

    A border is as strong as its open part is short: -log of the mean of exp(-strength). Colour
    counts less between two regions that stand before the same plane: a hammer's head and handle.
    """
    length, color_open, depth_open = borders.T
    edge = np.minimum(closedness(color_open, length), EDGE_CAP)
    color = np.minimum(color_distance(first, second), COLOR_CAP)
    stands, together = standing(first, second)
    apart = CREASE * closedness(depth_open, length)
    apart += (1 - SHARED_DISCOUNT * together) * (EDGE * edge + COLOR * color)
    apart *= 1 - ENCLOSED_DISCOUNT * together * enclosed
    area = np.minimum(first[:, patches.AREA], second[:, patches.AREA])
    return (apart + STANDING * stands) * area / (area + CRUMB_PX)


def closedness(
    opening: Float[np.ndarray, " E"], length: Float[np.ndarray, " E"]
) -> Float[np.ndarray, " E"]:
    """Return the strength of borders of which so much is open, up to 7."""
    return -np.log(np.maximum(opening / length, 1e-3))


def enclosure(
    pairs: Int[np.ndarray, "E 2"], borders: Float[np.ndarray, "E 3"]
) -> Float[np.ndarray, " E"]:
    """Return the largest share that the pair's border is of either one's whole outline."""
    length = borders[:, patches.LENGTH]
    outline = np.bincount(pairs.ravel(), np.repeat(length, 2))
    return length / outline[pairs].min(-1)


def color_distance(
    first: Float[np.ndarray, "E F"], second: Float[np.ndarray, "E F"]
) -> Float[np.ndarray, " E"]:
    """Return the distance of mean colours in units of their spread."""
    means, variances = [], []
    for region in (first, second):
        means.append(region[:, patches.COLOR] / region[:, :1])
        variances.append(
            np.maximum(region[:, patches.COLOR_SQUARED] / region[:, :1] - means[-1] ** 2, 0)
        )
    return np.sqrt(((means[0] - means[1]) ** 2 / (variances[0] + variances[1] + 36)).sum(-1))


def standing(
    first: Float[np.ndarray, "E F"], second: Float[np.ndarray, "E F"]
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " E"]]:
    """Return how much one lies in a plane and the other before it, and both before one."""
    on_a, on_b = (x[:, patches.ON] / x[:, :1] for x in (first, second))
    before_a, before_b = (x[:, patches.BEFORE] / x[:, :1] for x in (first, second))
    apart = np.maximum(on_a * before_b, on_b * before_a).max(-1, initial=0)
    return apart, (before_a * before_b).max(-1, initial=0)


def grow_tree(graph: PatchGraph) -> RegionTree:
    """Merge level by level: up to each separation, every region joins its nearest neighbour."""
    count = len(graph.regions)
    ids, regions, pairs, borders = np.arange(count), graph.regions, graph.pairs, graph.borders
    parents, heights = np.arange(2 * count), np.zeros(2 * count)
    used = count
    for level in LEVELS:
        while len(pairs):
            cost = separation(*regions[pairs.T], borders, enclosure(pairs, borders))
            chosen = cheapest_pairs(pairs, cost, len(ids)) & (cost <= level)
            if not chosen.any():
                break
            group = connected_groups(pairs[chosen], len(ids))
            grown = np.bincount(group) > 1
            new_ids = np.empty(len(grown), np.int64)
            new_ids[group] = ids
            new_ids[grown] = used + np.arange(grown.sum())
            parents[ids] = new_ids[group]
            heights[new_ids[grown]] = min(level, 2 * LEVELS[-2])
            used += int(grown.sum())
            ids, regions = new_ids, sum_rows(regions, group)
            pairs, borders = merge_pairs(group[pairs], borders, len(ids))
    return RegionTree(parents=parents[:used], heights=heights[:used], patch_count=count)


def cheapest_pairs(
    pairs: Int[np.ndarray, "E 2"], cost: Float[np.ndarray, " E"], count: int
) -> Bool[np.ndarray, " E"]:
    """Return the pairs that are the cheapest one of either end."""
    order = np.argsort(-cost, kind="stable")
    best = np.full(count, -1)
    best[pairs[order].ravel()] = np.repeat(order, 2)
    chosen = np.zeros(len(pairs), bool)
    chosen[best[best >= 0]] = True
    return chosen


def connected_groups(pairs: Int[np.ndarray, "E 2"], count: int) -> Int[np.ndarray, " A"]:
    """Return a group number for each of `count` regions, equal where pairs connect them."""
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), (count, count))
    return connected_components(graph, directed=False)[1]


def sum_rows(
    values: Float[np.ndarray, "A F"], group: Int[np.ndarray, " A"]
) -> Float[np.ndarray, "G F"]:
    """Return the sum of the rows of each group."""
    return np.stack([np.bincount(group, column) for column in values.T], -1)


def merge_pairs(
    ends: Int[np.ndarray, "E 2"], borders: Float[np.ndarray, "E 3"], count: int
) -> tuple[Int[np.ndarray, "F 2"], Float[np.ndarray, "F 3"]]:
    """Return the pairs that still have two ends, parallel ones summed."""
    apart = ends[:, 0] != ends[:, 1]
    ends, borders = ends[apart], borders[apart]
    if not len(ends):
        return ends, borders
    keys, index = np.unique(ends.min(-1) * np.int64(count) + ends.max(-1), return_inverse=True)
    return np.stack([keys // count, keys % count], -1), sum_rows(borders, index)
