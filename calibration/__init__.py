"""The calibration workshop: how far a bundle agrees with DEXA, how a clinic recalibrates it, what has drifted."""
