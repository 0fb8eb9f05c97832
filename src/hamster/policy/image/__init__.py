"""The 2D baseline: no depth, no calibration, action chunks."""
