"""Commands that read several runs at once."""
