"""From calibration data to the ranges of feature maps: max, percentile, KL, mix and the search over them."""
