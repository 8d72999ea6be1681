"""One connection of a conversation: what was asked on it, and what comes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wirechat_conformance import frames
from wirechat_conformance.frames import BadFrameError, Received
from wirechat_conformance.judge import MismatchError
from wirechat_conformance.log import WIDTH, Log
from wirechat_conformance.peer import Peer, SilenceError

Cut = Callable[[bytes], Iterable[bytes]]
"""How octets that could go together are cut into segments."""


def whole(octets: bytes) -> list[bytes]:
    """Leave octets as they are."""
    return [octets]


@dataclass
class Connection:
    """One connection of a conversation, and what is known about it."""

    name: str
    peer: Peer
    log: Log
    """Is told what comes."""
    held: bytes = b""
    """What is still to be sent, together with what follows."""
    request: int | None = None
    """The command of the last request; DELIVER until a LIST behind it is answered."""
    repeated: bool = False
    """Whether that was repeated until it succeeded, or for too long."""
    asked: list[bytes] = field(default_factory=list)
    """The usernames for which a session was asked, and no answer seen."""
    entry: int | None = None
    """CREATE or LOGIN, what asked for the session last, until that is seen to be."""
    session: bytes | None = None
    """The username of the session."""
    fenced: bool = False
    """Whether a fence is on its way."""
    blame: tuple[str, ...] = ()
    """The rules that the last step named: a fence behind it stands for them too."""
    last: Received | None = None
    """The frame that came last."""
    again: bool = False
    """Whether that was the one before it once more."""
    optional: Received | None = None
    """What may come before that which must come next."""
    rejected: tuple[str, ...] | None = None
    """The rules by which the last frame was rejected, if it was: an end may follow."""
    sending: bool = True
    """We have closed nothing."""
    ended: bool = False
    """The server has closed it."""

    @property
    def usable(self) -> bool:
        """Whether requests are answered on it."""
        return self.sending and not self.ended

    def ask(self, command: int | None, octets: bytes) -> None:
        """Take note of a request, and hold it back until the next ``flush``."""
        self.repeated = False
        if (self.request, command) != (frames.DELIVER, frames.LIST):
            self.request = command
        if command in (frames.CREATE, frames.LOGIN):
            self.entry = command
            self.asked.append(octets[frames.HEADER_SIZE :])
        if command == frames.DELETE:
            self.session = None
            self.blame = ()  # for what comes of this stands a rule of its own
        self.held += octets

    def succeeded(self) -> None:
        """Take note of a success: whoever asked for a session has it now."""
        if self.asked:
            self.session = self.asked.pop(0)

    def flush(self, cut: Cut = whole, flags: int = 0) -> None:
        """Send what was held back.

        Raises:
            MismatchError: The server does not take it.
        """
        octets, self.held = self.held, b""
        if octets:
            try:
                self.peer.send(cut(octets), flags)
            except SilenceError as silence:
                raise MismatchError(f"nothing taken: {silence}") from None

    def receive(self) -> Received | None:
        """Return the next frame, None at the end.

        Raises:
            MismatchError: Nothing comes, or what comes is no frame.
        """
        try:
            frame = self.peer.receive()
        except SilenceError as silence:
            partial = self.peer.buffer[:WIDTH].hex(" ")
            detail = f"incomplete: {partial}" if partial else ""
            self.log.note(self.name, f"… {silence}")
            mismatch = MismatchError(str(silence), detail, "FRM-1" * bool(partial))
            mismatch.late = silence.late
            raise mismatch from None
        except BadFrameError as bad:
            self.ended = bool(self.peer.closed)
            self.log.note(self.name, f"< octets {bad.octets[:WIDTH].hex(' ')}")
            raise MismatchError("no frame", str(bad), bad.rule) from None
        self.log.note(self.name, self.peer.closed if frame is None else frame)
        self.ended = frame is None
        self.again, self.last = frame == self.last, frame
        listed = frame is not None and frame.command == frames.LISTRESPONSE
        if listed and self.request == frames.DELIVER:
            self.request = frames.LIST
        return frame

    def put_back(self, frame: Received) -> None:
        """Have a frame come again: the step that takes and judges it is another."""
        self.peer.buffer[:0] = frame.octets
        self.last = None
        self.log.withdraw()
