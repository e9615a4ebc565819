"""`pulumi-language-python` where the official one is missing: runs a Python program, or a plugin, for the engine.

The engine built from its Go module comes without language hosts. This one runs programs in the environment it runs in
itself, as the official one does in the project's virtualenv; it converts, generates and installs nothing.
"""
# ruff: noqa: N802 - the protocol names the methods

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import grpc  # type: ignore[import-untyped]
import pulumi
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime import reset_options, run_in_stack, set_all_config
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from sandbox import bin as shims
from sandbox.lifeline import end_with_parent

# What stands between the user's code and the terminal in a traceback: the SDK, the standard library and this file.
_MACHINERY = (str(Path(pulumi.__file__).parent), str(Path(os.__file__).parent), "<frozen ", __file__)
_SITE_PACKAGES = str(Path(pulumi.__file__).parents[1])


class LanguageHost(LanguageServer):
    """One program a process: the engine starts a host for each operation."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine
        self._ran = threading.Lock()
        self._plugins: set[subprocess.Popen[bytes]] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        found = [
            language_pb2.DependencyInfo(name=package.name, version=package.version)
            for package in metadata.distributions()
            if package.name.startswith("pulumi")
        ]
        return language_pb2.GetProgramDependenciesResponse(dependencies=found)

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        yield language_pb2.InstallDependenciesResponse(
            stdout=b"Nothing to install: programs run in the sandbox's own environment (make setup).\n"
        )

    def Cancel(self, request: Any, context: Any) -> Any:
        self.end_plugins()
        return empty_pb2.Empty()

    def end_plugins(self) -> None:
        """End the plugins that `RunPlugin` started; they do not watch the engine themselves."""
        for plugin in list(self._plugins):
            plugin.terminate()

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program; its errors go to the user by the engine's log, so the response says only that it failed."""
        if not self._ran.acquire(blocking=False):
            return language_pb2.RunResponse(error="this language host has run its program; the engine starts one a run")
        directory = Path(request.info.program_directory or request.pwd or ".")
        program = directory / (request.info.entry_point or request.program or ".")
        reset_options(
            project=request.project,
            monitor_address=request.monitor_address,
            engine_address=self._engine or (request.args[0] if request.args else ""),
            stack=request.stack,
            parallel=request.parallel,
            preview=request.dryRun,
            organization=request.organization or "organization",
        )
        set_all_config(dict(request.config), list(request.configSecretKeys))
        os.chdir(request.pwd or directory)
        sys.argv = [str(program)]
        sys.path[0] = str(program if program.is_dir() else program.parent)
        return language_pb2.RunResponse(bail=not _succeeds(program, request.parallel))

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Start a plugin written in Python (a policy pack, a provider) and pass on what it prints."""
        target = request.info.program_directory or request.program
        if request.kind == "analyzer":
            command = shims.python("pulumi.policy", request.args[0], target)
        else:
            command = [sys.executable, target, *request.args]
        variables = {"PYTHONUNBUFFERED": "1", **dict(variable.partition("=")[::2] for variable in request.env)}
        process = subprocess.Popen(
            command,
            cwd=request.pwd or None,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._plugins.add(process)
        context.add_callback(process.terminate)
        yield from _outputs(process)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())
        self._plugins.discard(process)


def _succeeds(program: Path, parallel: int) -> bool:
    # An interrupted program leaves futures that nobody looked at; asyncio would say so at length.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=max(parallel, 1) * 4))
    try:
        loop.run_until_complete(run_in_stack(lambda: _execute(program)))
    except pulumi.RunError as problem:
        pulumi.log.error(str(problem))
    except grpc.RpcError as problem:
        # The monitor goes away when the engine has failed already, and it says why.
        if problem.code() != grpc.StatusCode.UNAVAILABLE:
            pulumi.log.error(f"the engine refused a call: {problem.details()}")
    except SystemExit as leaving:
        if leaving.code in (None, 0):
            return True
        pulumi.log.error(f"Program exited with {leaving.code!r}")
    except BaseException as problem:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{user_traceback(problem)}")
    else:
        return True
    finally:
        # Errors are sent to the engine on the loop's executor: what is queued must be out before the reply.
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return False


def _execute(program: Path) -> None:
    if program.is_dir() and not (program / "__main__.py").is_file():
        raise pulumi.RunError(f"unable to find main python program `__main__.py` in `{program}`")
    runpy.run_path(str(program), run_name="__main__")


def user_traceback(problem: BaseException) -> str:
    """The traceback without the frames of the SDK and of the standard library; whole where it has no others."""
    report = traceback.TracebackException.from_exception(problem)
    pending = [report]
    while pending:
        part = pending.pop()
        kept = [frame for frame in part.stack if _is_users(frame.filename)]
        part.stack = traceback.StackSummary.from_list(kept or list(part.stack))
        pending += [cause for cause in (part.__cause__, part.__context__) if cause is not None]
    return "".join(report.format()).rstrip()


def _is_users(filename: str) -> bool:
    return not filename.startswith(_MACHINERY) and not filename.startswith(_SITE_PACKAGES)


def _outputs(process: subprocess.Popen[bytes]) -> Iterator[Any]:
    """Both streams as they come, until both are closed."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def drain(stream: IO[bytes], name: str) -> None:
        for line in iter(stream.readline, b""):
            queue.put(language_pb2.RunPluginResponse(**{name: line}))  # type: ignore[arg-type]
        queue.put(None)

    streams = {"stdout": process.stdout, "stderr": process.stderr}
    for name, stream in streams.items():
        assert stream is not None
        threading.Thread(target=drain, args=(stream, name), daemon=True).start()
    for _ in streams:
        yield from iter(queue.get, None)


def main() -> None:
    """Serve on a free loopback port, written to stdout as the engine expects, until the engine ends."""
    engine = next((arg for arg in sys.argv[1:] if not arg.startswith("-")), "")
    host = LanguageHost(engine)
    end_with_parent(host.end_plugins)
    server = grpc.server(ThreadPoolExecutor(16), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
