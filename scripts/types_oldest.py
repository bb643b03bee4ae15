"""mypy once more against the oldest numpy that pyproject.toml allows, on the oldest Python that this machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pythons import SUPPORTED, find_python, lower_bound

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".venv-oldest"


def main() -> int:
    numpy = lower_bound((ROOT / "pyproject.toml").read_text(encoding="utf-8"), "numpy")
    release = next((one for one in SUPPORTED if find_python(one)), "")
    if release != SUPPORTED[0]:
        print(
            f"LEFT OUT: Python {SUPPORTED[0]} is not on this machine; types are checked on {release}", file=sys.stderr
        )
    python = PLACE / "bin" / "python"
    wanted = f"{release} numpy {numpy} {(ROOT / 'pyproject.toml').read_text(encoding='utf-8')}"
    stamp = PLACE / ".installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        subprocess.run([find_python(release), "-m", "venv", "--clear", str(PLACE)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, f"numpy=={numpy}", "-e", f"{ROOT}[test]"], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    print(f"types on Python {release} with numpy {numpy}:", flush=True)
    return subprocess.run(
        [str(python), "-m", "mypy", "--cache-dir", str(PLACE / "mypy")], cwd=ROOT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
