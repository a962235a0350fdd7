# SPDX-License-Identifier: Apache-2.0
"""The equations of arXiv:2407.11793 as they stand there: loops, slow, for autograd."""

import torch
from torch import Tensor

from ros2_clickgs.core.types import IGNORE


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y) / (x.norm() * y.norm())


def positive(F: Tensor, M: Tensor) -> Tensor:
    """Equation 2 for one level, with P1 = P2."""
    total = F.new_zeros(())
    for p in range(len(F)):
        for q in range(len(F)):
            if M[p] == M[q] and M[p] != IGNORE:
                total = total - cosine(F[p], F[q])
    return total / len(F) ** 2


def negative(F: Tensor, M: Tensor, tau: float) -> Tensor:
    """Equation 3 for one level, with P1 = P2."""
    total = F.new_zeros(())
    for p in range(len(F)):
        for q in range(len(F)):
            if M[p] != M[q] and IGNORE not in (M[p], M[q]):
                similar = cosine(F[p], F[q])
                if similar > tau:
                    total = total + similar
    return total / len(F) ** 2


def guided(f: Tensor, C: Tensor, tau_global: float, tau: float) -> Tensor:
    """Equations 8 and 9 for one level."""
    total = f.new_zeros(())
    for i in range(len(f)):
        similar = torch.stack([cosine(f[i], c) for c in C])
        own = int(similar.argmax())
        if similar[own] > tau_global:
            total = total - similar[own]
        for c in range(len(C)):
            if c != own and similar[c] > tau:
                total = total + similar[c] / len(C)
    return total / len(f)


def norm3d(f: Tensor, coarse_depth: int) -> Tensor:
    """Hypersphere regularisation."""
    total = f.new_zeros(())
    for row in f:
        total = total + (row[:coarse_depth].norm() - 1) ** 2 + (row[coarse_depth:].norm() - 1) ** 2
    return total / len(f)


def norm2d(F: Tensor, M: Tensor, radius: float) -> Tensor:
    """Rendered feature regularisation of one level."""
    total = F.new_zeros(())
    for p in range(len(F)):
        if M[p] != IGNORE:
            total = total + (F[p].norm() - radius) ** 2
    return total / len(F)


def spatial(f: Tensor, points: Tensor, members: list[int], k: int) -> Tensor:
    """Spatial consistency of some Gaussians with their k nearest neighbours."""
    total = f.new_zeros(())
    for i in members:
        distances = (points - points[i]).norm(dim=1)
        distances[i] = torch.inf
        for j in distances.argsort()[:k].tolist():
            total = total - cosine(f[i], f[j])
    return total / (len(members) * k)
