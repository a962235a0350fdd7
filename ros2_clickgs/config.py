# SPDX-License-Identifier: Apache-2.0
"""Every parameter of every node: name, default, meaning, bounds. Written once, here.

The YAML in `config/` only overrides; `python -m ros2_clickgs.config` prints the table.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar

from ros2_clickgs.errors import ConfigError

T = TypeVar("T")


def param(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    bounds: tuple[float, float] | None = None,
    live: bool = False,
) -> Any:
    """Return a dataclass field that carries what ROS has to know about a parameter.

    Args:
        default: its value without a YAML; its type is the parameter's type (no null in ROS).
        doc: what it does, with the unit.
        choices: the words a text may be; empty means any text.
        bounds: smallest and largest number, inclusive.
        live: may change while the node is configured; otherwise only before `configure`.
    """
    metadata = {"doc": doc, "choices": choices, "bounds": bounds, "live": live}
    return field(default=default, metadata=metadata)


class Leaf(NamedTuple):
    """One parameter of a nested configuration."""

    name: str
    """Dotted name, as in the YAML."""
    default: Any
    doc: str
    choices: tuple[str, ...]
    bounds: tuple[float, float] | None
    live: bool


def leaves(config: type, prefix: str = "") -> Iterator[Leaf]:
    """Walk a configuration class to its parameters."""
    for f in fields(config):
        if is_dataclass(f.type):
            yield from leaves(f.type, f"{prefix}{f.name}.")
        else:
            yield Leaf(prefix + f.name, f.default, **f.metadata)


def build(config: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Make a validated configuration of dotted names; what is not named keeps its default.

    Raises:
        ConfigError: a name is unknown, or a value has another type, is no choice or out of bounds.
    """
    known = {leaf.name for leaf in leaves(config, prefix)}
    for name in values:
        if not prefix and name not in known:
            raise ConfigError(name, values[name], "one of " + ", ".join(sorted(known)))
    return config(**{f.name: _value(f, values, prefix) for f in fields(config)})


def _value(f: Field, values: Mapping[str, Any], prefix: str) -> Any:
    if is_dataclass(f.type):
        return build(f.type, values, f"{prefix}{f.name}.")
    value = values.get(prefix + f.name, f.default)
    if isinstance(f.default, tuple) and not isinstance(value, str):
        value = tuple(value)
    check(Leaf(prefix + f.name, f.default, **f.metadata), value)
    return value


def check(leaf: Leaf, value: Any) -> None:
    """Raise ConfigError unless `value` is one that the parameter can have."""
    if type(value) is not type(leaf.default):
        raise ConfigError(leaf.name, value, f"a {type(leaf.default).__name__}")
    if leaf.choices and value not in leaf.choices:
        raise ConfigError(leaf.name, value, " | ".join(leaf.choices))
    if isinstance(value, tuple) and isinstance(leaf.default[0], str):
        check_names(leaf.name, value)
        return
    numbers = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) and len(value) != len(leaf.default):
        raise ConfigError(leaf.name, value, f"{len(leaf.default)} numbers")
    for number in numbers:
        if isinstance(number, float) and not math.isfinite(number):
            raise ConfigError(leaf.name, value, "finite numbers")
        if leaf.bounds and not leaf.bounds[0] <= number <= leaf.bounds[1]:
            raise ConfigError(leaf.name, value, f"{leaf.bounds[0]} to {leaf.bounds[1]}")


def check_names(name: str, value: tuple) -> None:
    """Raise ConfigError unless `value` is a list of different texts."""
    if not value or len(set(value)) < len(value) or not all(type(v) is str for v in value):
        raise ConfigError(name, value, "a list of different texts, at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapToSplatConfig:
    """Where the map file's frame lies in `map_frame`: p_map = R (scale p_file) + translation."""

    scale: float = param(1.0, "metres per unit of the map file", bounds=(1e-6, 1e6))
    translation_m: tuple = param((0.0, 0.0, 0.0), "origin of the map file's frame [m]")
    rotation_xyzw: tuple = param((0.0, 0.0, 0.0, 1.0), "its axes, a unit quaternion")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframesConfig:
    """Which posed images are kept, and how many of them a click is answered with."""

    count: int = param(40, "posed images that are kept", bounds=(1, 1000))
    min_distance_m: float = param(0.1, "images nearer than this and", bounds=(0.0, 100.0))
    min_angle_deg: float = param(
        10.0, "less turned than this replace each other", bounds=(0.0, 180.0)
    )
    views_per_click: int = param(8, "images that a click's masks are made in", bounds=(1, 100))
    min_views: int = param(4, "with fewer, views are rendered from the map", bounds=(1, 100))
    rendered_views: int = param(
        12, "views rendered around an object until it settles, at most", bounds=(0, 100)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MapConfig:
    """The map, and who works on it: what several nodes have to know."""

    autostart: bool = param(True, "configure and activate at start")
    map_path: str = param("", "3DGS map: .ply, .compressed.ply, .splat or .spz")
    map_frame: str = param("map", "frame of the outputs (REP-105)")
    map_to_splat: MapToSplatConfig = field(default_factory=MapToSplatConfig)
    session_dir: str = param("~/.ros/clickgs", "services write files only below this folder")
    backend: str = param("auto", "rasterizer", choices=("auto", "gsplat", "numba", "reference"))
    segmenter: str = param("auto", "2D segmenter", choices=("auto", "sam2", "classical"))
    segmenter_checkpoint: str = param(
        "",
        "SAM 2's weights: a .pt file or a hub id; empty: what CLICKGS_SAM2_CHECKPOINT names, else "
        "facebook/sam2.1-hiera-tiny, which `auto` does not download",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig(MapConfig):
    """Images of live cameras and their poses."""

    cameras: tuple = param(
        ("",),
        "namespaces of the cameras, each with `image`, `camera_info` and `pose` below it; "
        "empty: the node's own",
    )
    input_qos: str = param(
        "best_effort", "reliability of image inputs", choices=("best_effort", "reliable")
    )
    rectified: str = param(
        "auto",
        "are images rectified; auto: yes if their topic's name holds `rect` or there is no `d`",
        choices=("auto", "yes", "no"),
    )
    pose_source: str = param("topic", "where camera poses come from", choices=("topic", "tf"))
    max_pose_age_s: float = param(
        0.2,
        "a pose farther from an image's stamp is not used [s]",
        bounds=(0.001, 60.0),
        live=True,
    )
    keyframes: KeyframesConfig = field(default_factory=KeyframesConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterConfig(LiveConfig):
    """Node `segmenter`: clicks and posed images in, objects out."""

    session: str = param(
        "auto",
        "file in `session_dir` that keeps objects and edits over restarts; auto: one per map; "
        "empty: none",
    )
    background_weight: float = param(
        1.0, "an object needs votes for > this x votes against", bounds=(0.0, 100.0), live=True
    )
    allow_overlap: bool = param(False, "may a Gaussian belong to several objects")
    map_cloud_points: int = param(
        1_000_000, "`~/map_cloud` is thinned to this many points", bounds=(1, 100_000_000)
    )
    publish_splats: bool = param(True, "publish `~/splats` (60 bytes per Gaussian)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig(LiveConfig):
    """Node `trainer`: features on the map, so that clicks need no 2D network.

    In one process with the segmenter it takes the map and the camera's keyframes from there; what
    is said here about them counts only when it runs alone.
    """

    threads: int = param(
        0, "CPU threads of a training; 0: all but one, so that clicks go on", bounds=(0, 1024)
    )
    niceness: int = param(15, "how far a training stands back on the CPU", bounds=(0, 19))
    memory_gb: float = param(
        2.0, "for the pixels' blending weights; the rest goes to files", bounds=(0.0, 1000.0)
    )
    pixels_per_iteration: int = param(
        10_000, "pixels that are compared with each other", bounds=(100, 1_000_000)
    )
    max_views: int = param(
        200, "views to train on at most, chosen for coverage", bounds=(1, 100_000)
    )
    checkpoint_every: int = param(250, "iterations that a kill may cost", bounds=(1, 1_000_000))
    feedback_period_s: float = param(0.5, "time between two feedbacks [s]", bounds=(0.0, 60.0))
    preview_period_s: float = param(
        5.0,
        "time between two pictures on `~/preview`, if somebody looks [s]",
        bounds=(0.1, 3600.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AffordanceConfig:
    """Node `affordance`: objects and annotated images in, regions for a grasp planner out."""

    autostart: bool = param(True, "configure and activate at start")
    sources: str = param("", "annotated images or a prepared source set, for goals that name none")
    descriptor: str = param(
        "auto",
        "dense features; auto: dinov2 if there is a checkpoint",
        choices=("auto", "dinov2", "dense"),
    )
    checkpoint: str = param("", "weights of DINOv2: a file or a hub id")
    backend: str = param("auto", "rasterizer", choices=("auto", "gsplat", "numba", "reference"))
    views: int = param(16, "views rendered around an object at most", bounds=(1, 1000))
    follow: bool = param(
        True, "transfer again to an object that has changed and is settled", live=True
    )
    map_patience_s: float = param(
        10.0, "how long to wait for the segmenter's `~/splats` [s]", bounds=(0.1, 3600.0)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerConfig:
    """Node `player`: a dataset folder or a rosbag2 instead of cameras."""

    autostart: bool = param(True, "configure and activate at start")
    dataset: str = param("", "transforms.json, a folder with one, a COLMAP folder, or a rosbag2")
    rate_hz: float = param(
        10.0,
        "images per second; for a bag 0 is its own pace [Hz]",
        bounds=(0.0, 1000.0),
        live=True,
    )
    loop: bool = param(True, "begin again after the last image", live=True)
    wait_for_subscriber: bool = param(True, "play nothing until somebody listens to `image`")
    map_frame: str = param("map", "frame of the poses")
    camera_frame: str = param("camera_optical_frame", "frame of the images (REP-103)")


NODES = {
    "segmenter": SegmenterConfig,
    "affordance": AffordanceConfig,
    "trainer": TrainerConfig,
    "player": PlayerConfig,
}
"""Node name -> its parameters."""


def table(config: type) -> str:
    """Return a node's parameters as a Markdown table, for the README."""
    lines = ["| parameter | default | meaning | allowed | live |", "|---|---|---|---|---|"]
    for leaf in leaves(config):
        default = list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        allowed = " ".join(leaf.choices) or (
            f"{leaf.bounds[0]} to {leaf.bounds[1]}" if leaf.bounds else ""
        )
        live = "yes" if leaf.live else ""
        lines.append(f"| `{leaf.name}` | `{default!r}` | {leaf.doc} | {allowed} | {live} |")
    return "\n".join(lines)


def main() -> None:
    """Print the parameter tables of all nodes."""
    for name, config in NODES.items():
        print(f"### `/clickgs/{name}`\n\n{config.__doc__}\n\n{table(config)}\n")


if __name__ == "__main__":
    main()
