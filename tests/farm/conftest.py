"""Both databases, for every test of this folder that asks for a server."""

from tests.history.postgres import server

__all__ = ["server"]
