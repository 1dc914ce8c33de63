"""Which owners are alive: each holds a lock on a file of its own beside the database."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from scanqueue import _sync
from scanqueue.stores import _file_lock
from scanqueue.stores._file_lock import beside, identity
from scanqueue.stores._patience import patiently

if TYPE_CHECKING:
    from collections.abc import Collection

    from scanqueue.records import OwnerId
    from scanqueue.stores._file_lock import LockFile

_INFIX = "-owner-"
_NAME = re.compile(r"[0-9A-Za-z_.-]{1,100}")
"""What an owner may be called, as a part of a file's name."""
_MADE = re.compile(r"[0-9a-f]{32}")
"""What services call themselves: whatever else is beside the database is somebody else's."""


class Liveness:
    """The sign of life of one owner, and its eye for those of others.

    Thread-safety: any thread.

    Args:
        path: The database.
        owner: Who holds the lock until `give_up`.

    Raises:
        OSError: The file cannot be made.
        ValueError: The owner cannot be part of a file's name.
    """

    def __init__(self, path: str, owner: OwnerId) -> None:
        if not _NAME.fullmatch(owner):
            message = (
                f"owner must be made of ASCII letters, digits, '_', '-' and '.', not {owner!r}"
            )
            raise ValueError(message)
        self._path = path
        self._owner = owner
        self._file = self._file_of(owner)
        self._lock = _sync.Lock()
        """Protects the next field."""
        self._held: LockFile | None = patiently(self._create)

    def _create(self) -> LockFile:
        return _file_lock.create(self._file, os.stat(self._path))

    def _file_of(self, owner: OwnerId) -> str:
        return self._path + _INFIX + owner

    def is_gone(self) -> bool:
        """Return whether the file was deleted or moved: others take its owner for dead then.

        Without the lock, since it is asked all the time: where it says so, `renew` looks again.
        After `give_up` it says so, and `renew` does nothing.
        """
        held = self._held
        try:
            return held is None or identity(os.stat(self._file)) != held.identity
        except FileNotFoundError:
            return True
        except OSError:  # it cannot be told
            return False

    def renew(self) -> bool:
        """Make the file anew if it is gone; no fork must come in between.

        Returns:
            Whether it was.

        Raises:
            OSError: It cannot be made.
        """
        with self._lock:
            return patiently(self._renew)

    def _renew(self) -> bool:
        held = self._held
        if held is None or not self.is_gone():  # it may be back since somebody saw that it was
            return False
        self._held = self._create()
        held.close()
        return True

    def dead(self, owners: Collection[OwnerId]) -> set[OwnerId]:
        """Return those of the owners whose process is dead for sure.

        Raises:
            OSError: It cannot be told.
        """
        found = {owner for owner in owners if owner != self._owner and self._is_dead(owner)}
        for owner in filter(_NAME.fullmatch, found):
            _file_lock.remove_free(self._file_of(owner))
        return found

    def _is_dead(self, owner: OwnerId) -> bool:
        # A name that none can have was damaged on disk; its slot must not be held for ever.
        return not _NAME.fullmatch(owner) or _file_lock.is_free(self._file_of(owner))

    def remove_abandoned(self, but: Collection[OwnerId]) -> None:
        """Remove the files of the dead.

        Args:
            but: Owners that are still to be asked about.
        """
        for owner in beside(self._path, _INFIX):
            if _MADE.fullmatch(owner) and owner not in but and owner != self._owner:
                path = self._file_of(owner)
                with suppress(OSError):  # gone: another process has removed it, or its owner
                    if not os.path.getsize(path):
                        _file_lock.remove_free(path)

    def give_up(self) -> None:
        """End the sign of life; a second call does nothing."""
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            # Removed while it is locked: whoever makes a file of this name makes a new one.
            with suppress(OSError):
                os.unlink(self._file)
            held.close()

    def forget(self) -> None:  # pragma: no cover - in forked children, mostly
        """Let go of the lock in a forked child; the parent keeps it."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


def living(path: str, *, but: OwnerId | None = None) -> str | None:
    """Return the file of an owner who is alive, or of whom it cannot be told; None: there is none.

    Args:
        path: The database.
        but: Who is not asked about.

    Raises:
        OSError: It cannot be told.
    """
    for owner in beside(path, _INFIX):
        file = path + _INFIX + owner
        if owner != but and not _file_lock.is_free(file):
            return file
    return None
