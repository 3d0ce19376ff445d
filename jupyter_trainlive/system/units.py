"""The unit behind every ``*_gb`` of this package: 2**30 bytes, as nvidia-smi and the makers of GPUs count.

So a 24 GB card says 24.0 and a container given 8 GiB says 8.0. Torch's own memory figures are divided by
the same number.
"""

BYTES_PER_GB = 2**30


def gigabytes(size_bytes: float) -> float:
    """Bytes as the wire's GB."""
    return size_bytes / BYTES_PER_GB
