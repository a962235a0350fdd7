# SPDX-License-Identifier: Apache-2.0
"""DINOv2 features (Oquab et al. 2023) through timm: patches of any ViT with registers."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ros2_clickgs.core.descriptor import FeatureGrid
from ros2_clickgs.errors import BackendUnavailableError, FileFormatError

MODELS = {384: "vit_small", 768: "vit_base", 1024: "vit_large", 1536: "vit_giant"}
"""timm's name of each width, followed by `_patch14_reg4_dinov2`."""
HUB_ID = "vit_base_patch14_reg4_dinov2.lvd142m"
"""What is fetched where no checkpoint is named."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours that it was trained on."""
CONTEXT = 0.15
"""Surroundings of an object that are looked at, as a share of its longer side."""
PASS_A_FILE = "pass a local checkpoint file, or choose descriptor: dense"


class DINOv2Descriptor:
    """Patch tokens of a ViT; see Descriptor."""

    def __init__(self, model: torch.nn.Module, name: str, side_px: int = 896) -> None:
        """Wrap a model of timm.

        Args:
            model: a VisionTransformer that takes any input size.
            name: of model and weights.
            side_px: longer side of the image that it is shown; rounded to whole patches.
        """
        self._model = model.eval()
        self._patch = int(model.patch_embed.patch_size[0])
        self._side = side_px
        self.name = f"{name}-{side_px}"

    @classmethod
    def load(cls, checkpoint: str = "", side_px: int = 896) -> "DINOv2Descriptor":
        """Return the descriptor with the weights of a local file or a hub id.

        Raises:
            BackendUnavailableError: timm is missing, or the hub cannot be reached.
            FileFormatError: the file does not hold weights of such a model.
        """
        try:
            import timm
        except ImportError:
            remedy = "pip install 'ros2_clickgs[dinov2]', or choose descriptor: dense"
            raise BackendUnavailableError("dinov2", "timm is not installed", remedy) from None
        if Path(checkpoint).is_file():
            return cls(_from_file(Path(checkpoint)), Path(checkpoint).stem, side_px)
        hub_id = checkpoint or HUB_ID
        try:
            model = timm.create_model(hub_id, pretrained=True, dynamic_img_size=True)
        except Exception as error:
            reason = f"'{hub_id}' cannot be had ({str(error).splitlines()[0][:80]})"
            raise BackendUnavailableError("dinov2", reason, PASS_A_FILE) from None
        return cls(model, hub_id, side_px)

    def describe(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        mask: Bool[np.ndarray, "H W"] | None = None,
        inside: Bool[np.ndarray, "H W"] | None = None,
    ) -> FeatureGrid:
        """See Descriptor. With a mask, the object fills the input; without, all is described."""
        height, width = image.shape[:2]
        window = (0, 0, width, height) if mask is None else around(mask)
        left, top, right, bottom = window
        columns, rows = self._cells(right - left, bottom - top)
        shown = cv2.resize(
            image[top:bottom, left:right],
            (columns * self._patch, rows * self._patch),
            interpolation=cv2.INTER_AREA,
        )
        features = torch.nn.functional.normalize(self._patches(shown), dim=-1)
        grid = FeatureGrid(
            features=features.reshape(rows, columns, -1),
            origin=(float(left), float(top)),
            cell=((right - left) / columns, (bottom - top) / rows),
        )
        if mask is not None:
            cover = cv2.resize(
                mask[top:bottom, left:right].astype(np.float32),
                (columns, rows),
                interpolation=cv2.INTER_AREA,
            )
            grid.features[torch.from_numpy(cover == 0)] = 0
        return grid

    def _cells(self, width: int, height: int) -> tuple[int, int]:
        scale = self._side / max(width, height) / self._patch
        return max(1, round(width * scale)), max(1, round(height * scale))

    @torch.inference_mode()
    def _patches(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "P D"]:
        parameter = next(self._model.parameters())
        pixels = (image / 255.0 - MEAN) / STD
        batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(parameter)
        tokens = self._model.forward_features(batch)[0, self._model.num_prefix_tokens :]
        return tokens.float().cpu().clone()


def around(mask: Bool[np.ndarray, "H W"]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a mask's box with its surroundings, within the image."""
    v, u = np.nonzero(mask)
    margin = round(CONTEXT * (max(np.ptp(u), np.ptp(v)) + 1))
    low = np.maximum([u.min() - margin, v.min() - margin], 0)
    high = np.minimum([u.max() + 1 + margin, v.max() + 1 + margin], mask.shape[::-1])
    return (*low.tolist(), *high.tolist())


def _from_file(path: Path) -> torch.nn.Module:
    import timm
    from timm.models.vision_transformer import checkpoint_filter_fn

    try:
        state = _tensors(path)
        width = state["norm.weight"].shape[0]
        name = f"{MODELS[width]}_patch14_reg4_dinov2"
        model = timm.create_model(name, pretrained=False, dynamic_img_size=True)
        model.load_state_dict(checkpoint_filter_fn(state, model))
    except (OSError, RuntimeError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        problem = f"holds no weights of a DINOv2 ViT with registers ({str(error)[:80]})"
        raise FileFormatError(path, problem, PASS_A_FILE) from None
    return model


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)
