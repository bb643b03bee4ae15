"""What Rockchip's toolkit and board programs leave behind."""
