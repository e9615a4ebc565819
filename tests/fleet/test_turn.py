"""One run at a time of a stack on a machine: of many that begin at once exactly one goes on, and a dead one holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleet.turn import Taken, turn


@pytest.mark.parametrize("race", range(20))
def test_of_eight_at_once_one_goes_on(tmp_path: Path, race: int) -> None:
    start, told, won, refused = threading.Barrier(8), threading.Event(), list[int](), list[str]()

    def run(which: int) -> None:
        start.wait()
        try:
            with turn(tmp_path, "prod"):
                won.append(which)
                told.wait(10)
        except Taken as taken:
            refused.append(str(taken))
            if len(refused) == 7:
                told.set()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(refused) == 7
    assert all("another run of prod is under way" in said for said in refused)


def test_it_says_who_and_leaves_other_stacks_alone(tmp_path: Path) -> None:
    with turn(tmp_path, "prod"):
        with pytest.raises(Taken, match=rf"pid {os.getpid()}"), turn(tmp_path, "prod"):
            pass
        with turn(tmp_path, "dev"):
            pass
    with turn(tmp_path, "prod"):
        pass


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    words = "import pathlib, sys, time; from fleet.turn import turn", "with turn(pathlib.Path(sys.argv[1]), 'prod'):"
    program = "\n".join([*words, "    print('in', flush=True); time.sleep(60)"])
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == "in\n"
        with pytest.raises(Taken, match=rf"pid {held.pid}"), turn(tmp_path, "prod"):
            pass
        held.kill()
    with turn(tmp_path, "prod"):
        pass
