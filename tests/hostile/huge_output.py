"""Says so much that who listens runs out of memory, and the machine of disk; in life it would not end."""

import sys
from contextlib import suppress

for _ in range(200):
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.write("x" * 100_000)
            stream.flush()
