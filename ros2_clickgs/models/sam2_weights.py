# SPDX-License-Identifier: Apache-2.0
"""Where SAM 2's weights are, and the network with them."""

import importlib.util
import logging
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ros2_clickgs.errors import (
    BackendUnavailableError,
    ConfigError,
    FileFormatError,
    NotFoundError,
)

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

log = logging.getLogger(__name__)

HUB_ID = "facebook/sam2.1-hiera-tiny"
"""What `segmenter: sam2` takes when nothing else is named."""
VARIABLE = "CLICKGS_SAM2_CHECKPOINT"
"""Environment variable that names weights: a .pt file or a hub id."""
INSTALL = 'SAM2_BUILD_CUDA=0 pip install --no-build-isolation "sam2==1.1.0" huggingface-hub'
LOCAL = f"pass a local .pt file as segmenter_checkpoint, or name it in {VARIABLE}"


def is_installed() -> bool:
    """Return whether the package that runs SAM 2 is there."""
    return importlib.util.find_spec("sam2") is not None


def named_checkpoint(checkpoint: str) -> str:
    """Return the weights that a parameter, or else the environment, names; empty for none."""
    return checkpoint or os.environ.get(VARIABLE, "")


def cached_checkpoint() -> str:
    """Return the path of the hub's default weights if they are on this machine, else empty."""
    from huggingface_hub import try_to_load_from_cache
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

    found = try_to_load_from_cache(HUB_ID, HF_MODEL_ID_TO_FILENAMES[HUB_ID][1])
    return found if isinstance(found, str) else ""


def load_sam2(checkpoint: str = HUB_ID, config: str = "", device: str = "auto") -> "SAM2Base":
    """Return SAM 2 with its weights.

    Args:
        checkpoint: path of Meta's .pt, or a hub id, which is downloaded on first use.
        config: architecture, such as configs/sam2.1/sam2.1_hiera_t.yaml; empty: by file name.
        device: torch's name; auto: a GPU where there is one.

    Raises:
        BackendUnavailableError: sam2 is not installed, or the hub cannot be reached.
        NotFoundError: there is no such file or hub id.
        ConfigError: the file's name does not tell the architecture.
        FileFormatError: the file does not hold this architecture's weights.
    """
    if not is_installed():
        raise BackendUnavailableError("sam2", "the package is not installed", INSTALL)
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES, build_sam2

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    is_hub = checkpoint in HF_MODEL_ID_TO_FILENAMES
    path = download(checkpoint) if is_hub else Path(checkpoint).expanduser()
    if not path.is_file():
        known = "a .pt file that exists, or " + ", ".join(HF_MODEL_ID_TO_FILENAMES)
        raise NotFoundError("SAM 2 checkpoint", checkpoint, known)
    config = config or config_of(path)
    try:
        return build_sam2(config, str(path), device=device)
    except (RuntimeError, LookupError, TypeError, EOFError, pickle.UnpicklingError) as error:
        problem = f"does not hold the weights of {config}"
        raise FileFormatError(path, problem, "download it again") from error


def download(hub_id: str) -> Path:
    """Return the hub's weights on this machine, fetched if they are not here yet."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import logging as hub_logging
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

    log.info("looking for %s, on this machine and on the hub", hub_id)
    hub_logging.set_verbosity_error()  # else it tells of every attempt without a network
    try:
        return Path(hf_hub_download(hub_id, HF_MODEL_ID_TO_FILENAMES[hub_id][1]))
    except OSError as error:
        reason = "its weights are not on this machine and the hub does not give them"
        raise BackendUnavailableError(hub_id, reason, LOCAL) from error


def config_of(path: Path) -> str:
    """Return the architecture that Meta's name of a file stands for."""
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

    configs = {name: config for config, name in HF_MODEL_ID_TO_FILENAMES.values()}
    if path.name not in configs:
        names = "a file named as Meta does, for the architecture: " + ", ".join(configs)
        raise ConfigError("segmenter_checkpoint", str(path), names)
    return configs[path.name]
