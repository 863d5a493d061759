"""What the X-rays meet beside the bones, and what reaches the detector.

In: mass maps and an exposure. Out: texture, soft tissue, clutter, and the detector's signal.
It knows no anatomy and no header.
"""
