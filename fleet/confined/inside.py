"""Takes from its own process all that a program to be looked at has no need of, and then is that program.

What is left is one process that may read some directories and write to what its caller opened: no file written, no other
process, no socket, no signal, none of the machine's other memory. Nothing of it needs a right, and none of it can be
undone from within. Linux: Landlock for files, seccomp for the rest; elsewhere the limits alone, and `lacks` says so.

Standard library only, and started by its path (`fleet.confined.run`): nothing of the program's tree is loaded before.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import resource
import runpy
import struct
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress

# Calls that are refused, by their numbers on x86_64 and on aarch64 (None: not there).
_REFUSED: dict[str, tuple[int, int | None]] = {
    # Other processes. A thread is a clone, too: _filter looks at its flags.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    # Ways to others: sockets of every family (a container engine's, too), shared memory, queues, the kernel's keys.
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Ways around this list, or into the kernel.
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    # What Landlock leaves: whose a file is, who may read it, when it was changed, and before Linux 6.2 how long it is.
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}
_CLONE, _SOCKETPAIR, _CLONE3 = (56, 220), (53, 199), 435
# A call that is newer than this list is one that nobody looked at; libraries do without.
_NEWEST = 450
# Of linux/audit.h.
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE_THREAD, _SOCK_STREAM = 0x10000, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
# How many rights over files Landlock knows, by its version.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}


def lacks() -> list[str]:
    """What this machine's kernel lets a confined program do all the same, in words."""
    if sys.platform != "linux":
        return ["read and write files", "start processes", "open sockets"]
    found = [] if _landlock(444, None, 0, 1) >= 1 else ["read and write files"]
    return found + ([] if platform.machine() in _MACHINES else ["start processes", "open sockets"])


def confine(reads: Iterable[str], lists: str, memory: int, seconds: int, size: int) -> None:
    """Give up everything but reading `reads` and the names below `lists`; limits are of this process, the only one."""
    wanted = {"RLIMIT_CPU": seconds, "RLIMIT_AS": memory, "RLIMIT_FSIZE": size, "RLIMIT_CORE": 0}
    for name, most in wanted.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # macOS knows no limit of the address space.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
    if sys.platform != "linux":
        return
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS, which the other two ask for
    # Root is nobody special then: no module of the kernel's, no mount, no clock.
    _sound(ctypes.CDLL(None, use_errno=True).capset(struct.pack("Ii", 0x20080522, 0), bytes(24)))
    _read_only(reads, lists)
    if platform.machine() in _MACHINES:
        _refuse_calls(*_MACHINES[platform.machine()])


def _read_only(reads: Iterable[str], lists: str) -> None:
    version = _landlock(444, None, 0, 1)
    if version < 1:
        return
    handled = struct.pack("Q", (1 << _RIGHTS.get(version, 16)) - 1)
    rules = _sound(_landlock(444, handled, len(handled), 0))
    rights = {path: _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0) for path in reads}  # noqa: PTH112
    # Libraries open the null device to write.
    for path, right in {**rights, lists: _READ_DIR, os.devnull: _READ_FILE | _WRITE_FILE}.items():
        try:
            there = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        _sound(_landlock(445, rules, 1, struct.pack("=Qi", right, there), 0))
        os.close(there)
    _sound(_landlock(446, rules, 0))
    os.close(rules)


def _refuse_calls(column: int, machine: int) -> None:
    program = _filter(column, machine)
    kept = ctypes.create_string_buffer(program)
    _prctl(22, 2, ctypes.byref(_Program(len(program) // 8, ctypes.addressof(kept))))  # PR_SET_SECCOMP, as a filter


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter(column: int, machine: int) -> bytes:
    """The program of the kernel's that looks at each call: an instruction is a code, two jumps and a number."""

    def load(offset: int) -> bytes:
        return struct.pack("HBBI", 0x20, 0, 0, offset)

    def unless(test: int, number: int, skipped: int) -> bytes:
        return struct.pack("HBBI", test, 0, skipped, number)

    equal, greater, has = 0x15, 0x25, 0x45
    allowed, killed = (struct.pack("HBBI", 0x06, 0, 0, said) for said in (0x7FFF0000, 0x80000000))
    refused, absent = (struct.pack("HBBI", 0x06, 0, 0, 0x50000 | said) for said in (errno.EPERM, errno.ENOSYS))
    made = [load(4), struct.pack("HBBI", equal, 1, 0, machine), killed, load(0), unless(greater, _NEWEST, 1), absent]
    numbers = [numbers[column] for numbers in _REFUSED.values()]
    made += [part for number in numbers if number is not None for part in (unless(equal, number, 1), refused)]
    # Its flags stand in memory, where no filter looks; without it the C library takes clone.
    made += [unless(equal, _CLONE3, 1), absent]
    made += [unless(equal, _CLONE[column], 4), load(16), unless(has, _CLONE_THREAD, 1), allowed, refused]
    # An event loop's own pair of streams; one of datagrams could be sent elsewhere.
    low_bits = struct.pack("HBBI", 0x54, 0, 0, 0xF)
    made += [unless(equal, _SOCKETPAIR[column], 5), load(24), low_bits, unless(equal, _SOCK_STREAM, 1), allowed, refused]
    return b"".join([*made, allowed])


def _landlock(number: int, *arguments: int | bytes | None) -> int:
    """One of its three calls; negative where there is no Landlock, or it refuses."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    return int(call(number, *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)))


def _prctl(what: int, value: int, more: object = 0) -> None:
    _sound(ctypes.CDLL(None, use_errno=True).prctl(what, ctypes.c_ulong(value), more, 0, 0))


def _sound(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"confinement failed: {os.strerror(code)}")
    return result


def main() -> None:
    """`inside.py JSON`: confine, and run the module that it names, from the current directory."""
    asked = json.loads(sys.argv[1])
    confine(asked["reads"], asked["root"], asked["memory"], asked["seconds"], asked["size"])
    # Packages ask for one when they are imported, and Python tries whether it can be written to: none can.
    tempfile.tempdir = "/nonexistent"
    sys.argv = [asked["module"], *asked["arguments"]]
    sys.path.insert(0, asked["root"])
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
