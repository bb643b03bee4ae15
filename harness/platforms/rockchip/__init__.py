"""Rockchip: layer folders of its toolkit are read; nothing is run on its boards. Facts: docs/boards/rockchip.md."""
