"""Checks of compiler_parameters that depend on more than one key or on the chip."""

from __future__ import annotations

from harness.lint.horizon.config import Config, compile_mode, dumps_layers, runs_fast
from harness.lint.horizon.inputs import at, size_of
from harness.lint.horizon.ops import MARCHES_J6
from harness.lint.horizon.schema import BEST_LEVEL, COMPILER, DEFAULT_LEVEL, INPUT, SOURCES, SOURCES_OF_TYPE
from harness.lint.paths import beside, for_shell, is_folder
from harness.lint.yaml_tree import Node

LEVELS = ("O0", "O1", "O2", "O3")
SEVERAL_CORES = ("nash-h", "nash-p", "nash-starry-p")
ONE_CORE = tuple(march for march in MARCHES_J6 if march not in SEVERAL_CORES)
RESIZER_AREA = 18432  # H*W must be below (X5 manual)


def check(config: Config) -> None:
    """Level, cores, mode, cache, memory and sources of inputs."""
    _level(config)
    if config.group(COMPILER) is None:
        return
    _cores(config)
    _balance(config)
    if config.is_j6:
        _l2m(config)
        _cache(config)
    _sources(config)


def _level(config: Config) -> None:
    best, default = BEST_LEVEL[config.tool], DEFAULT_LEVEL[config.tool]
    level = config.text(COMPILER, "optimize_level")
    used = level or default
    if used not in LEVELS or used >= best or config.is_template:
        return
    what = f"optimize_level {level}" if level else f"optimize_level is missing: code is built at {default}"
    line = config.line(COMPILER, "optimize_level")
    if config.tree.get(COMPILER) is None:
        what, line = f"no {COMPILER}: code is built at {default}", 1
    severity = "note" if used == "O2" or runs_fast(config) else ""
    config.add("H-501", line, f"{what}: slower code", f"optimize_level: {best}", severity)


def _cores(config: Config) -> None:
    cores = config.text(COMPILER, "core_num")
    line = config.line(COMPILER, "core_num")
    if not cores.isdigit() or cores in ("0", "1"):
        return
    if config.march in ONE_CORE:
        config.add("H-502", line, f"core_num {cores}: {config.march} compiles for one core", "core_num: 1")
    elif config.march == "bayes-e" and cores == "2":
        config.add("H-502", line, f"core_num {cores}: the X5 has one core", "core_num: 1")
    elif config.march == "bayes" and cores == "2":
        what = f"core_num {cores}: the manual says not to set it on RDK Ultra; right on J5"
        config.add("H-502", line, what, "core_num: 1", severity="warning")


def _balance(config: Config) -> None:
    node, mode = config.get(COMPILER, "balance_factor"), compile_mode(config)
    if mode == "balance" and node is None:
        line = config.line(COMPILER, "compile_mode")
        config.add("H-506", line, "compile_mode balance without balance_factor", "balance_factor: 50")
    elif mode in ("latency", "bandwidth") and node is not None and not (config.is_j6 and node.text == "0"):
        what = f"balance_factor {node.text} has no effect with compile_mode {mode}"
        config.add("H-505", config.line(COMPILER, "balance_factor"), what, "leave balance_factor out")


def _l2m(config: Config) -> None:
    size = config.text(COMPILER, "max_l2m_size")
    if size.lower() not in ("", "0", "none") and config.march in ONE_CORE:
        line = config.line(COMPILER, "max_l2m_size")
        config.add("H-605", line, f"max_l2m_size is not supported on {config.march}", "leave max_l2m_size out")


def _cache(config: Config) -> None:
    mode, path = config.text(COMPILER, "cache_mode", "disable"), config.text(COMPILER, "cache_path")
    line = config.line(COMPILER, "cache_path" if path else "cache_mode")
    if mode in ("enable", "force_overwrite") and not path:
        config.add("H-606", line, f"cache_mode {mode} without cache_path", "cache_path: ./cache")
    elif path and mode == "disable":
        fix = "cache_mode: enable"
        config.add("H-607", line, "cache_path with cache_mode disable: the tool warns and enables the cache", fix)
    if path and config.network is not None and cache_is_absent(config):
        what = f"cache_path {path!r} is not here, though the model is: the tool wants the folder to exist"
        config.add("H-606", line, what, f"mkdir -p {for_shell(path)}")


def cache_is_absent(config: Config) -> bool:
    """Whether cache_path names a folder that is not here."""
    path = config.text(COMPILER, "cache_path")
    return bool(path) and config.folder is not None and not is_folder(beside(config.folder, path))


# --------------------------------------------------------------------------- where inputs come from


def _sources(config: Config) -> None:
    node = config.get(COMPILER, "input_source")
    names = config.words(INPUT, "input_name")
    for key, value in node.items if node is not None and node.kind == "map" else ():
        if key.text == "_default_value":
            continue
        if names and key.text not in names:
            _no_such_input(config, key, names)
            continue
        _source(config, key, value, names.index(key.text) if names else 0, bool(names))


def _no_such_input(config: Config, key: Node, names: list[str]) -> None:
    what = f"input_source names {key.text!r}; inputs are {', '.join(names)}"
    more = "; hb_compile takes its default instead" if config.is_j6 else ""
    config.add("H-503", key.line, what + more, f"leave {key.text} out", severity="warning" if config.is_j6 else "")


def _source(config: Config, key: Node, value: Node, index: int, is_known: bool) -> None:
    runtime = at(config, "input_type_rt", index) if is_known or index == 0 else ""
    allowed = SOURCES_OF_TYPE.get(runtime, SOURCES)
    if value.text not in allowed:
        what = f"input {key.text} of type {runtime or '?'} cannot come from {value.text!r}"
        config.add("H-503", key.line, what, f"{key.text}: {allowed[0]}")
    elif value.text == "resizer" and not config.is_j6:
        _resizer(config, key, index)


def _resizer(config: Config, key: Node, index: int) -> None:
    size = size_of(config, index)
    if size and size[0] * size[1] >= RESIZER_AREA:
        what = f"resizer input of {size[0]}x{size[1]}; H*W must be below {RESIZER_AREA}"
        config.add("H-504", key.line, what, f"{key.text}: pyramid")
    if dumps_layers(config):
        config.add("H-504", key.line, "resizer input with layer_out_dump", f"{key.text}: pyramid")
