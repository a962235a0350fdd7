# SPDX-License-Identifier: Apache-2.0
"""Runs triton_laws.py in processes of their own: interpreted everywhere, compiled on a GPU."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

LAWS = Path(__file__).with_name("triton_laws.py")

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def run_laws(laws: Path, **environment: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(laws)]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kernels_equal_the_reference_under_the_interpreter():
    run_laws(LAWS, TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_kernels_equal_the_reference_on_the_gpu():
    run_laws(LAWS, TRITON_INTERPRET="0")
