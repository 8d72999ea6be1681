"""What a conversation asks of the run that it is part of."""

from typing import Protocol

from wirechat_conformance.peer import Patience, Peer


class Stage(Protocol):
    """What a conversation asks of the run that it is part of."""

    patience: Patience
    unused: bytes
    """A username that no account ever has."""
    grace: float
    """Seconds between the end of a connection and what asks for its session to have
    ended. It ends with the connection (FRM-9), but a server may well close a moment
    before it takes note of that, and from outside there is no way to see it."""

    suspects: tuple[str, ...]
    """The rules by which a connection was last seen to end, where no sign of life has
    come since: it may have been the server that ended."""

    @property
    def gone(self) -> bool:
        """Whether the server as a whole has ended."""

    def connect(self, receive_buffer: int | None = None) -> Peer:
        """Return a new connection."""

    def chose(self, choice: str, value: str) -> None:
        """Take note of what the server made of a free choice."""

    def broken_fence(self, session: bool) -> tuple[str, ...]:
        """Return the rules that keep fences from working, with a session or not."""
