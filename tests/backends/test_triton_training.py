# SPDX-License-Identifier: Apache-2.0
"""Runs triton_training_laws.py in processes of their own: interpreted, and compiled on a GPU."""

from importlib.util import find_spec

import pytest
import torch

from tests.backends.test_triton import LAWS, run_laws

TRAINING_LAWS = LAWS.with_name("triton_training_laws.py")

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def test_training_kernels_equal_torch_under_the_interpreter():
    run_laws(TRAINING_LAWS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_training_kernels_equal_torch_on_the_gpu():
    run_laws(TRAINING_LAWS, TRITON_INTERPRET="0")
