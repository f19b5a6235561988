"""Tasks done by several processes, with the same outcome however many there are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

Argument = TypeVar("Argument")


class Pool:
    """So many worker processes, or with one worker this very process.

    Workers end with the process that began them, however that ends, so no two write the same file later.
    """

    def __init__(self, workers: int) -> None:
        self._executor: ProcessPoolExecutor | None = None
        if workers > 1:
            # Spawned and not forked: a fork would copy the locks of libraries that have threads.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(workers, context, _end_with_parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is None:
            return
        if error is not None:
            for process in list(self._executor._processes.values()):
                process.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def run(self, task: Callable[[Argument], None], arguments: Iterable[Argument]) -> None:
        """Call the task with each argument; returns when all are done, and raises what one of them raised.

        A task and its arguments are pickled, and tasks leave their results in files.
        """
        if self._executor is None:
            for argument in arguments:
                task(argument)
            return
        for future in [self._executor.submit(task, argument) for argument in arguments]:
            future.result()


def _end_with_parent() -> None:
    # An interrupt from the keyboard reaches all processes; the one that began the others sees to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
