"""The digital hip phantom: synthetic AP hip and pelvis films with exactly known areal BMD and landmarks."""
