"""Clients that no server deserves: `bad_clients.py PORT SECONDS SEED`, run in the model server's environment.

Generated bodies at a steady pace, beside them connections that lie about lengths and some that send a byte now and then.
Prints JSON: how many bodies were sent, and how often each status was answered; 0 stands for a connection that was closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections import Counter
from time import perf_counter

from tests.serving.bodies import GOOD, body

PATH = "/v2/models/model/infer"
# With 20 s of both sides in turn this makes the ten thousand that are asked for.
A_SECOND = 500
SENDERS, LIARS, SLOW = 4, 10, 20
LENGTHS = ("0", "1", "-1", "1e3", "99999999999999999999", "4096")


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


def head(length: object, headers: dict[str, str]) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {PATH} HTTP/1.1\r\nhost: bench\r\ncontent-length: {length}\r\n{more}\r\n".encode()


async def status(reader: asyncio.StreamReader) -> int:
    """Read one answer; 0 where the connection ends first."""
    try:
        first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        length = next(line for line in rest.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        return int(first.split()[1])
    except (asyncio.IncompleteReadError, ConnectionError, StopIteration):
        return 0


async def sender(port: int, chance: random.Random, end: float, codes: Counter[int]) -> None:
    """Its share of the generated bodies, one connection for all of them unless the server closes it."""
    writer: asyncio.StreamWriter | None = None
    due = perf_counter()
    while due < end:
        await asyncio.sleep(max(0, due - perf_counter()))
        due += SENDERS / A_SECOND
        if writer is None:
            reader, writer = await connect(port)
        content, headers = body(chance)
        writer.write(head(len(content), headers) + content)
        code = await status(reader)
        codes[code] += 1
        if code in (0, 413):
            writer.close()
            writer = None


async def liar(port: int, chance: random.Random, end: float) -> None:
    """A length that is not the body's, then no more."""
    text = json.dumps(GOOD).encode()
    while perf_counter() < end:
        with contextlib.suppress(OSError):
            _, writer = await connect(port)
            writer.write(head(chance.choice(LENGTHS), {}) + text[: chance.randrange(len(text))])
            await asyncio.sleep(0.2)
            writer.close()


async def slow(port: int, end: float) -> None:
    """A body that comes a byte at a time."""
    with contextlib.suppress(OSError):
        _, writer = await connect(port)
        writer.write(head(10_000, {}))
        while perf_counter() < end:
            writer.write(b"[")
            await asyncio.sleep(0.05)
        writer.close()


async def main(port: int, seconds: float, seed: int) -> None:
    end = perf_counter() + seconds
    codes: Counter[int] = Counter()
    chances = [random.Random(f"{seed}-{n}") for n in range(SENDERS + LIARS)]
    async with asyncio.TaskGroup() as group:
        for chance in chances[:SENDERS]:
            group.create_task(sender(port, chance, end, codes))
        for chance in chances[SENDERS:]:
            group.create_task(liar(port, chance, end))
        for _ in range(SLOW):
            group.create_task(slow(port, end))
    print(json.dumps({"sent": codes.total(), "codes": {str(code): count for code, count in sorted(codes.items())}}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
