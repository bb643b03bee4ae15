"""Pictures in the page, as SVG."""
