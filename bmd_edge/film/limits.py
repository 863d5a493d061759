"""The largest film that is read."""

MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 2 * MAX_PIXELS + (64 << 20)
