# SPDX-License-Identifier: Apache-2.0
"""Which segmenter a name means, and where SAM 2's weights come from."""

import logging
import pickle
from pathlib import Path

import pytest
import torch

from ros2_clickgs.errors import (
    BackendUnavailableError,
    ClickGSError,
    ConfigError,
    FileFormatError,
    NotFoundError,
)
from ros2_clickgs.models import choose, sam2_weights
from ros2_clickgs.models.choose import make_segmenter
from ros2_clickgs.models.sam2_weights import VARIABLE, load_sam2

TINY = "sam2.1_hiera_tiny.pt"


@pytest.fixture(autouse=True)
def _nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an empty hub cache and no way to the hub."""
    hub = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def no_sam2(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (choose, sam2_weights):
        monkeypatch.setattr(module, "is_installed", lambda: False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random ones in a file as Meta's."""
    build = pytest.importorskip("sam2.build_sam").build_sam2
    path = tmp_path_factory.mktemp("weights") / TINY
    model = build("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    torch.save({"model": model.state_dict()}, path)
    return path


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="classical"):
        make_segmenter("sam3")


def test_classical_is_classical(weights: Path) -> None:
    assert make_segmenter("classical", str(weights)).name == "classical"


def test_auto_without_weights_is_classical_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert make_segmenter("auto").name == "classical"
    assert VARIABLE in caplog.text


@pytest.mark.usefixtures("no_sam2")
def test_auto_without_the_package_is_classical_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        assert make_segmenter("auto", "weights.pt").name == "classical"
    assert "not installed" in caplog.text


def test_auto_takes_the_weights_of_the_parameter(
    weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert make_segmenter("auto", str(weights)).name == "sam2"
    assert str(weights) in caplog.text


@pytest.mark.parametrize("name", ["auto", "sam2"])
def test_the_environment_names_weights(
    weights: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(weights))
    assert make_segmenter(name).name == "sam2"


def test_auto_takes_the_weights_of_the_hub_s_cache(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--facebook--sam2.1-hiera-tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / TINY).symlink_to(weights)
    assert make_segmenter("auto").name == "sam2"
    assert make_segmenter("sam2").name == "sam2"


@pytest.mark.usefixtures("no_sam2")
def test_sam2_without_the_package_says_how_to_get_it() -> None:
    with pytest.raises(BackendUnavailableError, match="pip install --no-build-isolation"):
        make_segmenter("sam2")


@pytest.mark.parametrize("checkpoint", ["", "facebook/sam2.1-hiera-large"])
def test_a_hub_id_without_a_network_says_how_to_pass_a_file(checkpoint: str) -> None:
    pytest.importorskip("sam2")
    with pytest.raises(BackendUnavailableError, match=r"pass a local \.pt file") as caught:
        make_segmenter("sam2", checkpoint)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("sam2")
    for name in ("sam2", "auto"):
        with pytest.raises(NotFoundError, match=r"facebook/sam2\.1-hiera-tiny"):
            make_segmenter(name, str(tmp_path / TINY))


def test_a_name_that_tells_no_architecture_needs_a_config(weights: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "mine.pt"
    renamed.symlink_to(weights)
    with pytest.raises(ConfigError, match=TINY):
        load_sam2(str(renamed))
    assert load_sam2(str(renamed), config="configs/sam2.1/sam2.1_hiera_t.yaml").image_size == 1024


class Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("evil"),))


def broken(kind: str, weights: Path) -> bytes:
    if kind == "empty":
        return b""
    if kind == "text":
        return b"<html>404</html>"
    if kind == "code":
        return pickle.dumps({"model": Evil()}, protocol=2)
    return weights.read_bytes()[:100_000]


@pytest.mark.parametrize("kind", ["empty", "text", "code", "truncated"])
def test_files_that_are_no_weights_are_refused(kind: str, weights: Path, tmp_path: Path) -> None:
    path = tmp_path / TINY
    path.write_bytes(broken(kind, weights))
    with pytest.raises(FileFormatError, match="weights"):
        load_sam2(str(path))
    assert not Path("evil").exists()


@pytest.mark.parametrize("content", [{}, {"model": {}}, [1, 2], torch.zeros(3)])
def test_files_with_other_content_are_refused(content: object, tmp_path: Path) -> None:
    pytest.importorskip("sam2")
    path = tmp_path / TINY
    torch.save(content, path)
    with pytest.raises(ClickGSError, match="weights"):
        load_sam2(str(path))


def test_weights_of_another_architecture_are_refused(weights: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "sam2.1_hiera_small.pt"
    wrong.symlink_to(weights)
    with pytest.raises(FileFormatError, match="hiera_s"):
        load_sam2(str(wrong))
