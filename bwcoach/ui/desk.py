"""The one model that everyone on the page shares: one call at a time, and everyone's own way to stop theirs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from bwcoach.coach import Coach, load_coach
from bwcoach.models import ModelCard, card_for

_POLL_SECONDS = 0.05
Item = TypeVar("Item")


@dataclass(frozen=True)
class _Ended:
    """The last that comes from the thread at work, and why where it failed."""

    error: BaseException | None = None


class Desk:
    """Lends the model out. Only the one used last is kept in memory."""

    def __init__(
        self, load: Callable[[str], Coach] = load_coach, card: Callable[[str], ModelCard] = card_for
    ) -> None:
        self.card = card
        self._load = load
        self._turn = threading.Lock()
        self._coach: tuple[str, Coach] | None = None
        self._stops: dict[tuple[str, str], threading.Event] = {}

    def begin(self, visitor: str, purpose: str) -> threading.Event:
        """A new stop for what this visitor is about to do; what they did before for the same purpose ends."""
        stop = threading.Event()
        earlier = self._stops.get((visitor, purpose))
        self._stops[visitor, purpose] = stop
        if earlier is not None:
            earlier.set()
        return stop

    def begun(self, visitor: str, purpose: str) -> threading.Event:
        """The stop that `begin` gave out last, which may have been set since."""
        return self._stops.get((visitor, purpose)) or self.begin(visitor, purpose)

    def stop(self, visitor: str) -> None:
        for (owner, _), stop in list(self._stops.items()):
            if owner == visitor:
                stop.set()

    def leave(self, visitor: str) -> None:
        """Stop all that the visitor began, and forget them."""
        self.stop(visitor)
        for owner, purpose in list(self._stops):
            if owner == visitor:
                del self._stops[owner, purpose]

    def lend(self, model: str, stop: threading.Event, work: Callable[[Coach], Iterator[Item]]) -> Iterator[Item]:
        """What `work` yields, made in a thread of its own that holds the model as long as it works.

        Each item has to say all that those before it said: of what piles up while nobody looks, only the newest is
        given. Once `stop` is set, what is ready is still given and then it ends, whatever the model is busy with;
        whoever comes next waits until that has let go. A generator that nobody reads on sets `stop` itself, so a
        model is never held for nobody.
        """
        items: queue.SimpleQueue[Item | _Ended] = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(model, stop, work, items), name="model", daemon=True).start()
        try:
            while True:
                stopped = stop.is_set()
                newest, ended = _drain(items)
                yield from newest
                if ended is not None and ended.error is not None:
                    raise ended.error
                if ended is not None or (stopped and not newest):
                    return
        finally:
            stop.set()

    def _serve(
        self, model: str, stop: threading.Event, work: Callable[[Coach], Iterator[Item]],
        items: queue.SimpleQueue[Item | _Ended],
    ) -> None:
        while not self._turn.acquire(timeout=_POLL_SECONDS):
            if stop.is_set():
                return
        try:
            for item in work(self._take(model)):
                items.put(item)
                if stop.is_set():
                    break
            items.put(_Ended())
        except BaseException as error:  # raised again in the thread that asked
            items.put(_Ended(error))
        finally:
            self._turn.release()

    def _take(self, model: str) -> Coach:
        if self._coach is None or self._coach[0] != model:
            self._coach = None
            self._coach = (model, self._load(model))
        return self._coach[1]


def _drain(items: queue.SimpleQueue[Item | _Ended]) -> tuple[list[Item], _Ended | None]:
    """The newest item, if one comes before long, and whether it is the last."""
    newest: list[Item] = []
    wait = _POLL_SECONDS
    while True:
        try:
            item = items.get(timeout=wait) if wait else items.get_nowait()
        except queue.Empty:
            return newest, None
        if isinstance(item, _Ended):
            return newest, item
        newest, wait = [item], 0.0
