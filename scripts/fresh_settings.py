"""How this machine reaches Debian packages and Python packages: read from apt and pip, named nowhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

APT = Path("/etc/apt")
VARIABLE = re.compile(
    r"(PIP_\w+|(https?|no|all|ftp)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)", re.IGNORECASE
)
NOT_PASSED = {"PIP_CACHE_DIR", "PIP_CONFIG_FILE", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}  # folders of this PC's user


def apt_mirror(folder: Path = APT) -> str:
    """The first mirror that apt takes Debian's own packages from; "" where there is none (another distribution)."""
    uris = [uri for path in _sources(folder) for uri, suites, parts in _entries(path) if _is_debian(suites, parts)]
    return next((uri for uri in uris if uri.startswith(("http://", "https://", "file:/"))), "")


def _sources(folder: Path) -> list[Path]:
    more = sorted((folder / "sources.list.d").glob("*"))
    return [p for p in (folder / "sources.list", *more) if p.is_file() and p.suffix in (".list", ".sources")]


def _entries(path: Path) -> list[tuple[str, list[str], list[str]]]:
    """(URI, suites, components) of a file of either form."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if not line.lstrip().startswith("#")]
    if path.suffix == ".list":
        words = [re.sub(r"\[[^]]*\]", "", line).split() for line in lines]
        return [(w[1], [w[2]], w[3:]) for w in words if len(w) > 3 and w[0] == "deb"]
    entries = []
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = _fields(block)
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"]) != ["no"]:
            entries += [(uri, fields.get("suites", []), fields.get("components", [])) for uri in fields.get("uris", [])]
    return entries


def _fields(block: str) -> dict[str, list[str]]:
    """ "Key: words" with continued lines that begin with a blank."""
    fields: dict[str, list[str]] = {}
    key = ""
    for line in block.splitlines():
        if line[:1] in (" ", "\t"):
            fields.setdefault(key, []).extend(line.split())
            continue
        key, _, value = line.partition(":")
        key = key.strip().lower()
        fields[key] = value.split()
    return fields


def _is_debian(suites: list[str], components: list[str]) -> bool:
    names = {"bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable"}
    return "main" in components and bool(names & set(suites))


def apt_proxies() -> dict[str, str]:
    """apt's own proxies as variables, which debootstrap's wget reads."""
    try:
        text = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return {}
    pairs = re.findall(r'^Acquire::(https?)::Proxy "([^"]+)";$', text, re.MULTILINE)
    return {f"{scheme}_proxy": proxy for scheme, proxy in pairs if proxy != "DIRECT"}


def pip_variables() -> dict[str, str]:
    """The variables that tell pip and TLS where to look."""
    return {k: v for k, v in os.environ.items() if VARIABLE.fullmatch(k) and k not in NOT_PASSED}


def pip_settings() -> str:
    """This PC's pip settings as one pip.conf; variables are passed as such."""
    sections: dict[str, list[str]] = {}
    for name, value in _pip_config().items():
        section, _, key = name.partition(".")
        if section != ":env:" and f"PIP_{key.upper().replace('-', '_')}" not in NOT_PASSED:
            sections.setdefault(section, []).append(f"{key} = " + value.replace("\n", "\n\t"))
    return "".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())


def _pip_config() -> dict[str, str]:
    argv = [sys.executable, "-m", "pip", "config", "list"]
    text = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    return {name: str(ast.literal_eval(value)) for name, _, value in pairs}


def paths_named() -> list[Path]:
    """Files and folders of this PC that those settings name; of a local index also what lies beside it."""
    values = [*_pip_config().values(), *pip_variables().values()]
    paths = set()
    for word in " ".join(values).split():
        if word.startswith("file:///"):
            path = Path(word.removeprefix("file://"))
            paths.add(path.parent if len(path.parts) > 2 else path)
        else:
            paths |= {Path(text) for text in word.split(":") if text.startswith("/") and "://" not in word}
    existing = {path for path in paths if path.exists()}
    return sorted(path for path in existing if not existing & set(path.parents))
