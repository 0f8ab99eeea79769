"""The real system that tests and benchmarks deploy, and how it is compressed."""

from pathlib import Path

IMAGES = Path(__file__).resolve().parent.parent / "images"
# With set-id programs and a file capability (ping's).
DEBIAN_PACKAGES = "iputils-ping,libcap2-bin,perl,python3"
COMPRESSORS = {"gz": ("gzip", "-6", "-n"), "zst": ("zstd", "-3"), "xz": ("xz", "-1", "-T0")}
