"""The calibration workshop: how far the numbers of a bundle agree with DEXA."""
