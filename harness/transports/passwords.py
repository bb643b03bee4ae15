"""Where a board's password comes from: the environment, the keyring of this PC, or a person. Never a file, never argv.

The keyring is reached through the library `keyring`, which is an extra: without it, without a backend, or with one
that is locked or broken, nothing is said and the next source is asked.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from harness.errors import HostError, UserError
from harness.records import Endpoint

Prompt = Callable[[str], str]  # asks a person for a password; the text names the board
PREFIX = "HARNESS_PASSWORD"
_ENCRYPTED = 1  # priority of a backend from which on `keyring` recommends it


class Passwords:
    """The passwords of one board, asked for in turn and only when a server wants one.

    What a person typed is kept in memory for as long as this lives: a connection is renewed now and then.
    """

    def __init__(self, endpoint: Endpoint, prompt: Prompt | None = None) -> None:
        self._endpoint, self._prompt = endpoint, prompt
        self._typed: dict[str, str] = {}

    def known(self) -> str:
        """From the environment or the keyring; "" when neither has one."""
        return os.environ.get(variable(self._endpoint.name), "") or _from_keyring(self._endpoint)

    def typed(self, where: str) -> str:
        """From a person, asked once for each login; "" when nobody can be asked."""
        if self._prompt is not None and where not in self._typed:
            self._typed[where] = self._prompt(f"password of {where} (board {self._endpoint.name}): ")
        return self._typed.get(where, "")


def variable(board_name: str) -> str:
    """The environment variable that may hold a board's password."""
    return f"{PREFIX}_" + re.sub(r"[^A-Z0-9]", "_", board_name.upper())


def how_to_give(board_name: str) -> str:
    """Where a board's password is looked for, in words for a hint."""
    return f"{variable(board_name)}, or: harness boards password {board_name}"


def without_passwords(environment: dict[str, str]) -> dict[str, str]:
    """An environment for a child: no child is given a secret that it did not ask for."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def hide_environment() -> dict[str, str]:
    """This process's environment for its children."""
    return without_passwords(dict(os.environ))


# --------------------------------------------------------------------------- the keyring


def store(endpoint: Endpoint, password: str) -> str:
    """Keep a board's password in the keyring; gives the backend's name. Errors: HostError, UserError."""
    if not password:
        raise UserError("empty password", f"to delete it: harness boards password {endpoint.name} --delete")
    keyring = _library()
    backend = keyring.get_keyring()
    if backend.priority < _ENCRYPTED and not _was_chosen(keyring):
        raise HostError(
            f"the only keyring on this PC ({_name(backend)}) stores passwords unencrypted",
            "unlock or install a keyring (gnome-keyring, KWallet), or accept it with PYTHON_KEYRING_BACKEND",
        )
    _tried(lambda: keyring.set_password(_service(endpoint), _account(endpoint), password), "cannot store the password")
    return _name(backend)


def delete(endpoint: Endpoint) -> bool:
    """Forget a board's password; False when the keyring has none. Errors: HostError."""
    keyring = _library()
    if _tried(lambda: keyring.get_password(_service(endpoint), _account(endpoint)), "cannot read the keyring") is None:
        return False
    _tried(lambda: keyring.delete_password(_service(endpoint), _account(endpoint)), "cannot delete the password")
    return True


def _service(endpoint: Endpoint) -> str:
    return f"harness board {endpoint.name}"


def _account(endpoint: Endpoint) -> str:
    """With the address: the password of one lab's x5-01 is not shown to another lab's."""
    return f"{endpoint.user or getpass.getuser()}@{endpoint.address}:{endpoint.port}"


def _from_keyring(endpoint: Endpoint) -> str:
    try:
        password = _library().get_password(_service(endpoint), _account(endpoint))
    except Exception:  # backends raise what they like; a broken keyring is no reason not to reach a board
        return ""
    return str(password or "")


def _library() -> ModuleType:
    """Errors: HostError when the library is not installed."""
    try:
        import keyring
    except ImportError as error:
        hint = "pip install keyring (in harness's environment)"
        raise HostError("the Python package `keyring` is not installed", hint) from error
    return keyring


def _was_chosen(keyring: ModuleType) -> bool:
    return bool(os.environ.get("PYTHON_KEYRING_BACKEND") or keyring.core.load_config())


def _name(backend: Any) -> str:
    return f"{type(backend).__module__}.{type(backend).__name__}"


def _tried(action: Callable[[], Any], what: str) -> Any:
    try:
        return action()
    except Exception as error:  # as above; its text names no password
        raise HostError(
            f"{what}: {type(error).__name__}: {error}", "check that this PC's keyring is unlocked"
        ) from error
