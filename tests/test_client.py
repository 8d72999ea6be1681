"""The client against a peer that says what a server might, right or wrong."""

import select
import socket
from collections.abc import Callable, Iterator

import pytest

from wirechat.client import Client, ConnectionLost, Message, Refused
from wirechat.codec import Command, Decoder, Frame, encode, encode_data

DONE = encode(Command.RESPONSE)
ERROR = encode(Command.RESPONSE, "no")
FENCED = encode(Command.LISTRESPONSE)
HELLO = encode(Command.SEND, "bob", "alice", "hello")
ECHO = encode(Command.SEND, "alice", "bob", "hi")
TO_SELF = encode(Command.SEND, "alice", "alice", "hi")
HELLO_MESSAGE = Message("bob", "alice", "hello")

Ask = Callable[[Client], object]
REQUESTS: list[tuple[Ask, bytes, list[str]]] = [
    (lambda c: c.create("alice"), DONE, ["CREATE alice"]),
    (lambda c: c.login("alice"), DONE, ["LOGIN alice"]),
    (lambda c: c.list(), FENCED, ["LIST"]),
    (lambda c: c.list("al*"), FENCED, ["LIST al*"]),
    (lambda c: c.send("bob", "hi"), ECHO, ["SEND alice bob hi"]),
    (lambda c: c.send("alice", "hi"), TO_SELF * 2, ["SEND alice alice hi"]),
    (lambda c: c.deliver(), FENCED, ["DELIVER", "LIST fence"]),
    (lambda c: c.delete(), FENCED, ["DELETE", "LIST fence"]),
    (lambda c: c.delete(), DONE + FENCED, ["DELETE", "LIST fence"]),
]
"""Each request, what answers it, and the frames that it is."""


class Peer:
    """The other end of the client's connection, which the test writes for."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.say = connection.sendall
        self.decoder = Decoder()

    def heard(self) -> list[str]:
        """Return the frames that the client has sent since, with any fence named so."""
        self.connection.settimeout(0)
        frames = self.decoder.feed(self.connection.recv(1 << 20))
        return [self.told(frame) for frame in frames if isinstance(frame, Frame)]

    def told(self, frame: Frame) -> str:
        fields = ["fence" if len(field) == 32 else field for field in frame.fields]
        return " ".join([Command(frame.command).name, *fields])


@pytest.fixture
def ends() -> Iterator[tuple[Client, Peer]]:
    ours, theirs = socket.socketpair()
    with theirs:
        client = Client(ours, timeout=5)
        client.username = "alice"
        yield client, Peer(theirs)
    client.close()


@pytest.fixture
def client(ends: tuple[Client, Peer]) -> Client:
    return ends[0]


@pytest.fixture
def peer(ends: tuple[Client, Peer]) -> Peer:
    return ends[1]


@pytest.mark.parametrize(("ask", "reply", "sent"), REQUESTS)
def test_each_request_is_what_it_says(
    client: Client, peer: Peer, ask: Ask, reply: bytes, sent: list[str]
) -> None:
    peer.say(reply)
    ask(client)
    assert peer.heard() == sent


@pytest.mark.parametrize(("ask", "reply", "sent"), REQUESTS)
def test_messages_before_a_reply_are_kept_and_what_follows_is_not_taken_for_it(
    client: Client, peer: Peer, ask: Ask, reply: bytes, sent: list[str]
) -> None:
    peer.say(HELLO + reply + HELLO)
    ask(client)
    oneself = [Message("alice", "alice", "hi")] if reply == TO_SELF * 2 else []
    assert list(client.messages()) == [HELLO_MESSAGE, *oneself, HELLO_MESSAGE]


@pytest.mark.parametrize(("ask", "reply", "sent"), REQUESTS)
def test_each_request_may_be_refused_and_the_connection_is_usable(
    client: Client, peer: Peer, ask: Ask, reply: bytes, sent: list[str]
) -> None:
    peer.say(ERROR + FENCED * (sent[-1] == "LIST fence"))
    with pytest.raises(Refused, match=r"^no$"):
        ask(client)
    assert client.username == "alice"
    peer.say(encode(Command.LISTRESPONSE, "alice", "bob"))
    assert client.list() == ("alice", "bob")


@pytest.mark.parametrize(("ask", "reply", "sent"), REQUESTS)
@pytest.mark.parametrize("cut", ["before the reply", "within it"])
def test_each_request_tells_that_the_server_closed(
    client: Client, peer: Peer, ask: Ask, reply: bytes, sent: list[str], cut: str
) -> None:
    peer.say(reply[:-1] if cut == "within it" else b"")
    peer.connection.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost, match="the server closed the connection"):
        ask(client)
    assert client.closed


@pytest.mark.parametrize("octets", [b"", DONE[:41], HELLO])
def test_the_wait_for_a_reply_is_bounded(octets: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours, timeout=0.01) as client:
        theirs.sendall(octets)
        with pytest.raises(ConnectionLost, match=r"no reply within 0\.01 seconds"):
            client.login("alice")


def test_the_wait_for_a_reply_is_bounded_while_messages_pour_in(
    client: Client, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("wirechat.client.monotonic", lambda: next(clock))
    peer.say(HELLO * 100)
    with pytest.raises(ConnectionLost, match="no reply within 5 seconds"):
        client.login("alice")


def test_the_wait_for_a_server_that_takes_nothing_is_bounded() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours, timeout=0.01) as client, pytest.raises(ConnectionLost):
        client.send("bob", "a" * 1_000_000)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\x01" + DONE[1:], r"malformed frame: version 1 is not 0 \(offset 0\)"),
        (encode(Command.LOGIN, "alice"), r"malformed frame: unknown command 5"),
        (
            encode_data(Command.RESPONSE, b"\xff"),
            r"octet 0xff in RESPONSE is not ASCII",
        ),
        (FENCED, "unexpected LISTRESPONSE"),
    ],
)
def test_what_is_no_reply_closes_the_connection(
    client: Client, peer: Peer, octets: bytes, reason: str
) -> None:
    peer.say(octets)
    with pytest.raises(ConnectionLost, match=reason):
        client.login("alice")
    with pytest.raises(ConnectionLost, match="the connection is closed"):
        client.list()


@pytest.mark.parametrize("ask", [ask for ask, _, _ in REQUESTS[2:7]])
def test_an_empty_response_answers_delete_alone(
    client: Client, peer: Peer, ask: Ask
) -> None:
    peer.say(DONE)
    peer.connection.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        ask(client)


def test_an_echo_is_told_from_a_message_with_the_same_text(
    client: Client, peer: Peer
) -> None:
    peer.say(encode(Command.SEND, "bob", "alice", "hi") + ECHO)
    client.send("bob", "hi")
    assert list(client.messages()) == [Message("bob", "alice", "hi")]


@pytest.mark.parametrize("text", ["", "|", "|||x", "a|||b|||c", "\x00\x1b\x7f\n"])
def test_a_message_is_what_follows_the_second_separator(
    client: Client, peer: Peer, text: str
) -> None:
    peer.say(encode_data(Command.SEND, b"bob|||alice|||" + text.encode()))
    assert list(client.messages()) == [Message("bob", "alice", text)]


@pytest.mark.parametrize("field", ["a|||b", "é", "bob|"])
def test_what_can_not_be_sent_is_not(client: Client, peer: Peer, field: str) -> None:
    with pytest.raises(ValueError, match="field"):
        client.send(field, "hi")
    peer.say(DONE)
    client.login("alice")
    assert peer.heard() == ["LOGIN alice"]


def test_the_username_follows_the_session(client: Client, peer: Peer) -> None:
    peer.say(FENCED + DONE)
    client.delete()
    assert client.username == ""
    client.create("carol")
    assert client.username == "carol"


def test_messages_waits_for_each_and_ends_without_more(
    client: Client, peer: Peer
) -> None:
    messages = client.messages(wait=0.01)
    for _ in range(3):
        peer.say(HELLO)
        assert next(messages) == HELLO_MESSAGE
    assert list(messages) == []


def test_messages_that_came_are_yielded_before_the_end_is_told(
    client: Client, peer: Peer
) -> None:
    peer.say(HELLO + ERROR)
    messages = client.messages()
    assert next(messages) == HELLO_MESSAGE
    with pytest.raises(ConnectionLost, match="unexpected RESPONSE 'no'"):
        next(messages)
    assert list(client.messages()) == []


def test_why_the_server_closed_is_read_although_it_takes_nothing_more(
    client: Client, peer: Peer
) -> None:
    peer.say(ERROR)
    peer.connection.close()
    with pytest.raises(Refused, match=r"^no$"):
        client.list()


def test_a_reset_is_told(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client.connect(*listener.getsockname())
        server, _ = listener.accept()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    assert select.select([client], [], [], 5)[0] == [client]
    with pytest.raises(ConnectionLost, match="the connection broke: Connection reset"):
        list(client.messages())


def test_nothing_is_lost_by_closing(client: Client, peer: Peer) -> None:
    peer.say(HELLO * 2 + ERROR)
    peer.connection.shutdown(socket.SHUT_WR)
    with client:
        pass
    assert client.closed
    assert list(client.messages()) == [HELLO_MESSAGE] * 2
    client.close()


def test_closing_waits_until_the_server_has_closed(client: Client, peer: Peer) -> None:
    peer.connection.shutdown(socket.SHUT_WR)
    client.close()
    assert peer.connection.recv(1) == b""


def test_connecting_to_a_closed_port_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        Client.connect(*address)
