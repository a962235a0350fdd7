# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from ros2_clickgs.backends import make_rasterizer
from ros2_clickgs.errors import BackendUnavailableError, ConfigError
from tests.conftest import random_gaussians


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'backend' is 'vulkan'; allowed: auto \| gsplat"):
        make_rasterizer(random_gaussians(3), "vulkan")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_gsplat_without_cuda_says_what_to_use_instead():
    with pytest.raises(BackendUnavailableError, match="use backend: numba"):
        make_rasterizer(random_gaussians(3), "gsplat")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_auto_is_numba_without_cuda_and_says_so(caplog):
    with caplog.at_level("INFO"):
        rasterizer = make_rasterizer(random_gaussians(3))
    assert type(rasterizer).__name__ == "NumbaRasterizer"
    assert "numba" in caplog.text
