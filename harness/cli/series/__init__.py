"""Commands that measure one model many times in one session: many settings, or many hours."""
