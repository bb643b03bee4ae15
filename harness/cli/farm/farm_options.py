"""Options of `harness farm`: where the scheduler is, and what proves that it is ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.common import FiniteRange

if TYPE_CHECKING:
    from harness.farm.addresses import Certificates

Function = TypeVar("Function", bound=Callable[..., Any])

_CERTIFICATES = (
    ("--tls-ca", "authority", "Certificate of the farm's own authority.  [default: $HARNESS_FARM_CA]"),
    ("--tls-cert", "certificate", "Certificate of this PC, signed by it.  [default: $HARNESS_FARM_CERT]"),
    ("--tls-key", "key", "Its private key.  [default: $HARNESS_FARM_KEY]"),
)

scheduler_option = click.option(
    "--scheduler",
    metavar="ADDRESS",
    default="",
    help="The scheduler, for example tls://farm-pc:8786.  [default: $HARNESS_FARM_SCHEDULER]",
)
lost_after_option = click.option(
    "--lost-after",
    "lost_after_s",
    metavar="SECONDS",
    type=FiniteRange(min=1),
    default=60.0,
    show_default=True,
    help="A worker that gives no sign of life for so long is taken for lost.",
)


def tls_options(command: Function) -> Function:
    """The three files of TLS, and `--insecure`."""
    insecure = click.option(
        "--insecure", is_flag=True, help="Plain TCP beyond this PC: nobody else is in this network, and nobody may be."
    )
    files = [
        click.option(option, name, metavar="FILE", type=click.Path(path_type=Path), default=None, help=text)
        for option, name, text in reversed(_CERTIFICATES)
    ]
    return reduce(lambda wrapped, one: one(wrapped), [insecure, *files], command)


def reached(
    address: str, authority: Path | None, certificate: Path | None, key: Path | None, insecure: bool
) -> tuple[str, Certificates | None]:
    """A checked address, and the certificates. Errors: InputError, ConfigError."""
    from harness.farm.addresses import certificates_of, checked_address

    certificates = certificates_of(authority, certificate, key)
    return checked_address(address, certificates, insecure), certificates
