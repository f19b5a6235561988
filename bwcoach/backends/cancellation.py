"""Ending a read that waits for a silent server, from another thread."""

from __future__ import annotations

import socket
import threading


class CancelledError(Exception):
    """Nobody waits for this answer any more."""


class Cancellation:
    """Ends the requests of several threads at once, even those that wait for a silent server."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        return self._asked.wait(seconds)

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        if self.asked:
            hang_up(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def ask(self) -> None:
        self._asked.set()
        with self._lock:
            for connection in self._open:
                hang_up(connection)


def hang_up(connection: socket.socket) -> None:
    """Wake a thread that reads from the connection; it sees the end of the stream."""
    try:
        # The method of the plain socket: that of a TLS one takes its state away from under the reader.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return


class Alarm:
    """Hangs up when an answer has taken its time."""

    def __init__(self, seconds: float) -> None:
        self.rang = False
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def set_for(self, connection: socket.socket) -> None:
        def ring() -> None:
            self.rang = True
            hang_up(connection)

        self._timer = threading.Timer(self._seconds, ring)
        self._timer.daemon = True
        self._timer.start()

    def switch_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
