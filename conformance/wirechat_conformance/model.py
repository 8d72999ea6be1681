"""What the rules say will come of a request: a model of the protocol, in steps.

It is the suite's own, so that a fault of the reference can't hide in it. It knows no
socket: it writes down, in the steps of a transcript, what is done and what must be
seen, before anything is done.
"""

from collections.abc import Iterator

from wirechat_conformance import frames
from wirechat_conformance.steps import (
    Close,
    End,
    Fence,
    HalfClose,
    Open,
    Receive,
    ReceiveError,
    ReceiveNames,
    ReceiveRejection,
    Repeat,
    Reset,
    Send,
    Step,
)
from wirechat_conformance.text import Text

ROOM = 100_000
"""Octets of messages for which there is room wherever a thousand of 100 octets can be
kept (LIM-3). What comes of more is open."""
AGENT = "Z"
"""The connection that sees sessions end."""
Steps = Iterator[Step]


class Model:
    """Accounts, sessions and kept messages, as the rules would have them.

    Each method gives the steps of one request, and takes note of what it changes.
    Usernames are the names of a transcript's usernames.
    """

    def __init__(self) -> None:
        self.kept: dict[str, list[Text]] = {}
        """Each account's kept messages."""
        self.sessions: dict[str, str] = {}
        """Connection to account."""
        self._open: set[str] = set()
        self._deleted: set[str] = set()

    def online(self, account: str) -> str | None:
        """Return the connection of an account's session."""
        return next((c for c, name in self.sessions.items() if name == account), None)

    def _ready(self, connection: str) -> Steps:
        if connection not in self._open:
            self._open.add(connection)
            yield Open(connection)

    def create(self, connection: str, account: str) -> Steps:
        """CREATE."""
        yield from self._ready(connection)
        yield Send(connection, frames.CREATE, (account,))
        if connection in self.sessions:
            yield ReceiveError(connection, rules=("ACC-7",))
        elif account in self.kept:
            yield ReceiveError(connection, rules=("ACC-2",))
        else:
            rule = "ACC-16" if account in self._deleted else "ACC-1"
            yield Receive(connection, frames.RESPONSE, rules=(rule,))
            self.kept[account] = []
            self.sessions[connection] = account

    def login(self, connection: str, account: str) -> Steps:
        """LOGIN."""
        yield from self._ready(connection)
        yield Send(connection, frames.LOGIN, (account,))
        if connection in self.sessions:
            yield ReceiveError(connection, rules=("ACC-11",))
        elif account not in self.kept:
            yield ReceiveError(connection, rules=("ACC-9",))
        elif self.online(account):
            yield ReceiveError(connection, rules=("ACC-10",))
        else:
            yield Receive(connection, frames.RESPONSE, rules=("ACC-8",))
            yield Fence(connection, rules=("DLV-4",))
            self.sessions[connection] = account

    def send(self, connection: str, sender: str, recipient: str, text: bytes) -> Steps:
        """SEND."""
        body: Text = (sender, b"|||", recipient, b"|||" + text)
        if self._kept_octets(recipient) + len(text) > ROOM:
            return
        yield from self._ready(connection)
        yield Send(connection, frames.SEND, body)
        session, target = self.sessions.get(connection), self.online(recipient)
        if session is None:
            yield ReceiveError(connection, rules=("SND-4",))
        elif session != sender:
            yield ReceiveError(connection, rules=("SND-5",))
        elif recipient not in self.kept:
            yield ReceiveError(connection, rules=("SND-6",))
        elif target == connection:
            yield Receive(connection, frames.SEND, body, rules=("SND-7",))
            yield Receive(connection, frames.SEND, body, rules=("SND-7",))
        else:
            yield Receive(connection, frames.SEND, body, rules=("SND-2",))
            if target is not None:
                yield Receive(target, frames.SEND, body, rules=("SND-1",))
            else:
                self.kept[recipient].append(body)

    def _kept_octets(self, account: str) -> int:
        if self.online(account):
            return 0
        bodies = self.kept.get(account, [])
        return sum(len(p) for body in bodies for p in body if isinstance(p, bytes))

    def say(self, connection: str, recipient: str, text: bytes) -> Steps:
        """SEND in one's own name, or somebody's where there is no session."""
        sender = self.sessions.get(connection, recipient)
        return self.send(connection, sender, recipient, text)

    def deliver(self, connection: str) -> Steps:
        """DELIVER."""
        yield from self._ready(connection)
        yield Send(connection, frames.DELIVER)
        if connection not in self.sessions:
            yield ReceiveError(connection, rules=("DLV-3",))
            return
        account = self.sessions[connection]
        for body in self.kept[account]:
            yield Receive(connection, frames.SEND, body, rules=("DLV-1",))
        self.kept[account] = []
        yield Fence(connection, rules=("DLV-2",))

    def delete(self, connection: str) -> Steps:
        """DELETE."""
        yield from self._ready(connection)
        yield Send(connection, frames.DELETE)
        if connection not in self.sessions:
            yield ReceiveError(connection, rules=("ACC-15",))
            return
        account = self.sessions.pop(connection)
        del self.kept[account]
        self._deleted.add(account)
        yield Receive(connection, frames.RESPONSE, optional=True)
        yield Fence(connection, rules=("ACC-14",))

    def list_one(self, connection: str, account: str) -> Steps:
        """LIST with a username for its filter."""
        yield from self._ready(connection)
        yield Send(connection, frames.LIST, (account,))
        found: tuple[Text, ...] = ((account,),) if account in self.kept else ()
        yield ReceiveNames(connection, found, rules=("LST-2",))

    def list_all(self, connection: str) -> Steps:
        """LIST without a filter."""
        yield from self._ready(connection)
        yield Send(connection, frames.LIST)
        there = tuple((account,) for account in self.kept)
        gone = tuple(
            (account,) for account in self._deleted if account not in self.kept
        )
        yield ReceiveNames(
            connection, there, others=True, without=gone, rules=("LST-1",)
        )

    def half_close(self, connection: str) -> Steps:
        """The end of a connection in good order."""
        yield from self._ready(connection)
        yield HalfClose(connection)
        yield End(connection, rules=("FRM-9",))
        self._open.remove(connection)
        self.sessions.pop(connection, None)

    def close(self, connection: str) -> Steps:
        """The end of a connection by a close."""
        yield from self._ready(connection)
        yield Close(connection)
        yield from self._gone(connection)

    def reset(self, connection: str) -> Steps:
        """The end of a connection by a reset."""
        yield from self._ready(connection)
        yield Reset(connection)
        yield from self._gone(connection)

    def malformed(self, connection: str, octets: Text, rule: str) -> Steps:
        """A malformed frame, behind which the connection is closed."""
        yield from self._ready(connection)
        yield Send(connection, None, octets)
        yield ReceiveRejection(connection, rules=(rule,))
        yield Fence(connection, if_open=True, rules=(rule,))
        yield Close(connection)
        yield from self._gone(connection)

    def _gone(self, connection: str) -> Steps:
        """See that the session of a connection has ended (ACC-12)."""
        self._open.remove(connection)
        account = self.sessions.pop(connection, None)
        if account is not None:
            yield Open(AGENT)
            yield Repeat(AGENT, frames.LOGIN, (account,))
            yield Receive(AGENT, frames.RESPONSE, rules=("ACC-12",))
            yield HalfClose(AGENT)
            yield End(AGENT, rules=("FRM-9",))


def matches(pattern: str, name: str) -> bool:
    """Whether a filter matches a name as a whole (LST-2)."""
    ends = {0}  # where in the name what was read of the filter so far may end
    for character in pattern:
        if not ends:
            return False
        if character == "*":
            ends = set(range(min(ends), len(name) + 1))
        else:
            ends = {at + 1 for at in ends if name[at : at + 1] == character}
    return len(name) in ends
