"""Makes processes that make processes, and outlive it, in sessions of their own; in life it would not stop at eight."""

import os
import sys
import time
from contextlib import suppress

for _ in range(8):
    with suppress(OSError):
        if os.fork() == 0:
            os.setsid()
            for stream in (0, 1, 2):
                os.close(stream)
            time.sleep(120)
            os._exit(0)
    with suppress(OSError):
        words = [sys.executable, "-c", "import time; time.sleep(120)", *sys.argv[1:]]
        os.posix_spawn(sys.executable, words, {}, file_actions=[(os.POSIX_SPAWN_CLOSE, stream) for stream in (0, 1, 2)])
sys.stdout.write("[]")
