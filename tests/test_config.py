# SPDX-License-Identifier: Apache-2.0
"""One source of truth for parameters: defaults are valid, YAML only overrides, errors say what."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from ros2_clickgs.config import NODES, PlayerConfig, SegmenterConfig, build, leaves, main, table
from ros2_clickgs.errors import ConfigError

YAMLS = sorted((Path(__file__).parents[1] / "config").glob("*.yaml"))


def flat(values: dict, prefix: str = "") -> dict:
    """Return nested YAML as dotted names."""
    found = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = tuple(value) if isinstance(value, list) else value
    return found


@pytest.mark.parametrize("config", NODES.values())
def test_defaults_are_valid_and_the_defaults(config):
    assert build(config, {}) == config()
    assert build(config, {leaf.name: leaf.default for leaf in leaves(config)}) == config()


@pytest.mark.parametrize("config", NODES.values())
def test_every_parameter_says_what_it_does(config):
    for leaf in leaves(config):
        assert leaf.doc
        assert type(leaf.default) in (bool, int, float, str, tuple)


@pytest.mark.parametrize("path", YAMLS, ids=lambda p: p.name)
def test_yaml_only_overrides_what_there_is(path):
    for node, content in yaml.safe_load(path.read_text()).items():
        config = NODES[node.removeprefix("/clickgs/")]
        known = {leaf.name: leaf for leaf in leaves(config)}
        values = flat(content["ros__parameters"])
        assert set(values) <= set(known)
        assert build(config, values) is not None
        for name, value in values.items():
            assert value != known[name].default, f"{name} repeats the default"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("backend", "cuda", "allowed: auto | gsplat | numba | reference"),
        ("background_weight", 1, "allowed: a float"),
        ("background_weight", -0.5, r"allowed: 0\.0 to 100\.0"),
        ("background_weight", float("nan"), "finite"),
        ("autostart", 1, "allowed: a bool"),
        ("keyframes.count", 0, "'keyframes.count' is 0; allowed: 1 to 1000"),
        ("keyframes.count", True, "allowed: a int"),
        ("map_to_splat.translation_m", [0.0, 1.0], "3 numbers"),
        ("map_to_splat.translation_m", "xyz", "a tuple"),
        ("map_to_splat.rotation_xyzw", [0.0, 0.0, 0.0, float("inf")], "finite"),
        ("map", "x", "autostart, backend"),
        ("keyframes", 3, "one of"),
    ],
)
def test_wrong_value_is_refused_by_name(name, value, told):
    with pytest.raises(ConfigError, match=told):
        build(SegmenterConfig, {name: value})


def test_nested_values_arrive():
    config = build(SegmenterConfig, {"keyframes.count": 7, "map_to_splat.scale": 0.5})
    assert (config.keyframes.count, config.map_to_splat.scale) == (7, 0.5)
    assert build(PlayerConfig, {"rate_hz": 3.0}).rate_hz == 3.0


def test_table_has_a_row_per_parameter(capsys):
    for config in NODES.values():
        assert len(table(config).splitlines()) == 2 + len(list(leaves(config)))
    main()
    assert "`keyframes.count`" in capsys.readouterr().out


@pytest.mark.parametrize("config", NODES.values())
def test_configurations_cannot_change(config):
    assert is_dataclass(config)
    assert config.__dataclass_params__.frozen
    assert all(not hasattr(f.default, "append") for f in fields(config))
