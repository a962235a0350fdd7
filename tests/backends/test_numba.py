# SPDX-License-Identifier: Apache-2.0
"""What only the numba backend promises: the same bits on any number of threads, an exact alpha."""

import math

import numba
import numpy as np
import pytest
import torch

from ros2_clickgs.backends import constants as c
from ros2_clickgs.backends.numba_cpu import NumbaRasterizer
from ros2_clickgs.backends.numba_kernels import ROOT
from tests.conftest import random_camera, random_gaussians


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread is all there is")
def test_votes_are_the_same_bits_on_one_thread_and_on_two():
    gaussians, labels = random_gaussians(300, 1), torch.randint(0, 3, (50, 70))
    votes = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        votes.append(NumbaRasterizer(gaussians).vote(random_camera(1), labels, 3))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert votes[0].any()
    assert torch.equal(*votes)


def test_alpha_of_a_level_is_threshold_times_its_exponential():
    levels = np.linspace(0, -math.log(c.ALPHA_THRESHOLD), 1001)
    assert np.allclose(ROOT(levels) ** 8, c.ALPHA_THRESHOLD * np.exp(levels), rtol=2e-6, atol=0)
