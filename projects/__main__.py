"""`python -m projects` lists the projects; `python -m projects NAME [--small] [--json]` runs one and prints its table."""

from __future__ import annotations

import runpy
import sys

from projects.notebooks import scripts


def main(arguments: list[str]) -> int:
    found = scripts()
    names = [one for one in arguments if not one.startswith("-")]
    if not names:
        print("\n".join(found))  # noqa: T201
        return 0
    if names[0] not in found:
        print(f"no project {names[0]!r}; there are {', '.join(found)}", file=sys.stderr)  # noqa: T201
        return 2
    runpy.run_path(str(found[names[0]]), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
