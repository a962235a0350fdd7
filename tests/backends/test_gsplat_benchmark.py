# SPDX-License-Identifier: Apache-2.0
"""What of the GPU backend and its benchmark can be told without a GPU."""

import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from ros2_clickgs.backends import choose_backend, gsplat_cuda
from ros2_clickgs.errors import BackendUnavailableError

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


@pytest.fixture
def cuda(monkeypatch):
    """Pretend that torch sees a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def pretend_gsplat(monkeypatch, backend):
    monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "gsplat.cuda", SimpleNamespace(_backend=backend))


@needs_triton
@pytest.mark.usefixtures("cuda")
def test_gsplat_without_its_compiled_code_is_refused_with_the_remedy(monkeypatch):
    pretend_gsplat(monkeypatch, SimpleNamespace(_C=None))
    with pytest.raises(BackendUnavailableError, match="let CUDA_HOME name the toolkit"):
        gsplat_cuda.require_gsplat()


@needs_triton
@pytest.mark.usefixtures("cuda")
def test_a_failed_build_of_gsplat_is_told_in_one_line_and_auto_goes_on(monkeypatch, caplog):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("Error building extension 'gsplat_cuda':\nnvcc fatal: ...")

    monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "gsplat.cuda", Broken())
    assert choose_backend() == "numba"
    assert "Error building extension 'gsplat_cuda':; pip install" in caplog.text


@pytest.mark.usefixtures("cuda")
def test_gsplat_without_triton_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(gsplat_cuda, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailableError, match="pip install triton"):
        gsplat_cuda.require_gsplat()


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_the_benchmark_says_in_one_line_that_there_is_no_cuda():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "torch sees no CUDA device" in done.stderr


def test_the_floor_is_the_slower_of_moving_and_computing():
    from benchmarks.gpu_timing import Ceilings, Work

    work = Work(pairs=1000, splats=100, entries=50_000, pixels=300, votes=200, cells=400)
    assert work.bytes_moved() == 4000 + 2400 + 1200 + 1600 + 1600
    assert work.floor_ms(Ceilings(1e6, 1e15)) == pytest.approx(10.8)
    assert work.floor_ms(Ceilings(1e15, 1e9)) == pytest.approx(1.1)


def test_verdicts_tell_kept_promises_from_broken_ones_and_leave_out_the_unmeasured():
    from benchmarks.gpu_report import verdicts

    row = {"gaussians": 5, "image": "2x2", "vote_ms": 1.0, "a/vote": 4.5, "b/vote": 1.5}
    votes = [{**row, "labels": 1, "vote/c": 1.2}, {**row, "labels": 12, "vote_ms": 1.4}]
    found = verdicts([{"relative": 1e-5}], votes, [], "2x2", 5, 200)
    assert [line["kept"] for line in found] == ["yes", "yes", "NO", "yes", "NO"]
    assert verdicts([], votes, [], "2x2", 6, 200) == []


@needs_triton
def test_label_blocks_hold_every_label_and_background():
    from benchmarks.gpu import label_blocks

    for labels in (1, 12, 64):
        image = label_blocks(labels, 200, 100, "cpu")
        assert image.unique().tolist() == list(range(labels + 1))
        assert 0.3 < (image > 0).float().mean() < 0.7
