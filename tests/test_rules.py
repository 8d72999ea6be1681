"""Accounts, sessions and messages, without a socket."""

import itertools
import re
import time

import pytest

from wirechat.codec import (
    HEADER_SIZE,
    REPLIES,
    Command,
    Decoder,
    Frame,
    Malformed,
    encode,
)
from wirechat.rules import SUCCESS, Chat, Limits, Message, Outbox, Session, matcher

ERROR = "an error reply"
LONG = "x" * 64


class World:
    """A chat with three accounts: ann and bob are online, zoe is offline."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.chat = Chat(limits)
        self.ann, self.bob, self.nobody = Session(), Session(), Session()
        for name, session in ("ann", self.ann), ("bob", self.bob), ("zoe", self.nobody):
            assert self.ask(session, Command.CREATE, name) == [(session, SUCCESS)]
        self.chat.leave(self.nobody)

    def ask(self, session: Session, command: int, *fields: str) -> Outbox:
        frame = Frame(command, encode(command, *fields)[HEADER_SIZE:])
        return self.chat.receive(session, frame)

    def tell(self, sender: str, recipient: str, text: str) -> bytes:
        """Have somebody who is online send a message, and return its frame."""
        session = self.ann if sender == "ann" else self.bob
        octets = encode(Command.SEND, sender, recipient, text)
        assert (session, octets) in self.ask(
            session, Command.SEND, sender, recipient, text
        )
        return octets

    def state(self) -> object:
        """Return all that a request may change."""
        return (
            {
                name: (account.session, list(account.kept))
                for name, account in self.chat.accounts.items()
            },
            [session.account for session in (self.ann, self.bob, self.nobody)],
            (self.chat.kept, self.chat.kept_octets),
        )


def is_error(outbox: Outbox, session: Session) -> bool:
    ((to, octets),) = outbox
    (frame,) = Decoder(REPLIES).feed(octets)
    return (
        to is session and isinstance(frame, Frame) and frame[0] == 6 and frame[1] != b""
    )


# Every request, by somebody without a session and by ann: ERROR, or who gets what.
OK = [("me", SUCCESS)]
HI = ("ann", "bob", "hi")


def sends(*fields: str) -> bytes:
    return encode(Command.SEND, *fields)


REQUESTS: list[tuple[Command, tuple[str, ...], object, object]] = [
    (Command.CREATE, ("new",), OK, ERROR),
    (Command.CREATE, (LONG,), OK, ERROR),
    (Command.CREATE, ("ann",), ERROR, ERROR),
    (Command.CREATE, ("Ann",), OK, ERROR),
    (Command.CREATE, ("zoe",), ERROR, ERROR),
    (Command.CREATE, (LONG + "x",), ERROR, ERROR),
    (Command.CREATE, ("a*",), ERROR, ERROR),
    (Command.CREATE, ("a|",), ERROR, ERROR),
    (Command.CREATE, ("a\n",), ERROR, ERROR),
    (Command.LOGIN, ("zoe",), OK, ERROR),
    (Command.LOGIN, ("ann",), ERROR, ERROR),
    (Command.LOGIN, ("bob",), ERROR, ERROR),
    (Command.LOGIN, ("new",), ERROR, ERROR),
    (Command.LOGIN, ("Zoe",), ERROR, ERROR),
    (Command.SEND, HI, ERROR, [("bob", sends(*HI)), ("me", sends(*HI))]),
    (Command.SEND, ("bob", "ann", "hi"), ERROR, ERROR),
    (Command.SEND, ("zoe", "bob", "hi"), ERROR, ERROR),
    (Command.SEND, ("ann", "new", "hi"), ERROR, ERROR),
    (Command.SEND, ("", "bob", "hi"), ERROR, ERROR),
    (Command.SEND, ("ann", "zoe", ""), ERROR, [("me", sends("ann", "zoe", ""))]),
    (
        Command.SEND,
        ("ann", "ann", "\0"),
        ERROR,
        [("me", sends("ann", "ann", "\0"))] * 2,
    ),
    (Command.DELIVER, (), ERROR, []),
    (Command.DELETE, (), ERROR, []),
]


@pytest.mark.parametrize(("command", "fields", "without", "within"), REQUESTS)
@pytest.mark.parametrize("who", ["nobody", "ann"])
def test_request(
    command: Command, fields: tuple[str, ...], without: object, within: object, who: str
) -> None:
    world = World()
    before = world.state()
    me = world.nobody if who == "nobody" else world.ann
    outbox = world.ask(me, command, *fields)
    expected = without if who == "nobody" else within
    if expected == ERROR:
        assert is_error(outbox, me)
        assert world.state() == before
    else:
        names = {id(world.bob): "bob", id(me): "me"}
        assert [(names[id(to)], octets) for to, octets in outbox] == expected


@pytest.mark.parametrize("who", ["nobody", "ann"])
def test_malformed_frame_is_told_and_has_no_effect(who: str) -> None:
    world = World()
    before = world.state()
    me = world.nobody if who == "nobody" else world.ann
    outbox = world.chat.receive(me, Malformed("FRM-5", "unknown command 9", 1))
    assert outbox == [(me, encode(Command.RESPONSE, "unknown command 9 (offset 1)"))]
    assert world.state() == before


def test_created_account_is_logged_in() -> None:
    world = World()
    world.ask(world.nobody, Command.CREATE, "new")
    assert world.nobody.account is world.chat.accounts["new"]
    world.chat.leave(world.nobody)
    assert world.nobody.account is None
    assert world.ask(world.nobody, Command.LOGIN, "new") == [(world.nobody, SUCCESS)]


def test_account_and_what_is_kept_outlive_sessions() -> None:
    world = World()
    world.chat.leave(world.bob)
    world.chat.leave(world.bob)  # ended already
    frames = [world.tell("ann", "bob", text) for text in "123"]
    assert world.ask(world.nobody, Command.LOGIN, "bob") == [(world.nobody, SUCCESS)]
    world.chat.leave(world.nobody)
    world.ask(world.bob, Command.LOGIN, "bob")
    delivered = [(world.bob, frame) for frame in frames]
    assert world.ask(world.bob, Command.DELIVER) == delivered
    assert world.ask(world.bob, Command.DELIVER) == []
    assert (world.chat.kept, world.chat.kept_octets) == (0, 0)


def test_live_message_does_not_release_kept_ones() -> None:
    world = World()
    kept = world.tell("ann", "zoe", "kept")
    world.ask(world.nobody, Command.LOGIN, "zoe")
    live = world.ask(world.ann, Command.SEND, "ann", "zoe", "live")
    assert live[0] == (world.nobody, sends("ann", "zoe", "live"))
    assert world.ask(world.nobody, Command.DELIVER) == [(world.nobody, kept)]


def test_deleted_account_is_gone_with_what_was_kept_for_it() -> None:
    world = World()
    world.tell("ann", "zoe", "old")
    world.ask(world.nobody, Command.LOGIN, "zoe")
    assert world.ask(world.nobody, Command.DELETE) == []
    assert (world.chat.kept, world.chat.kept_octets) == (0, 0)
    assert is_error(world.ask(world.nobody, Command.DELETE), world.nobody)
    assert is_error(world.ask(world.ann, Command.SEND, "ann", "zoe", ""), world.ann)
    assert world.ask(world.nobody, Command.CREATE, "zoe") == [(world.nobody, SUCCESS)]
    assert world.ask(world.nobody, Command.DELIVER) == []


def test_kept_messages_outlive_their_sender() -> None:
    world = World()
    frame = world.tell("bob", "zoe", "hi")
    world.ask(world.bob, Command.DELETE)
    world.ask(world.nobody, Command.LOGIN, "zoe")
    assert world.ask(world.nobody, Command.DELIVER) == [(world.nobody, frame)]


def unsent(world: World, text: str) -> Message:
    """Return a message from ann to bob that comes back."""
    (to, octets), _ = world.ask(world.ann, Command.SEND, "ann", "bob", text)
    assert to.account
    return Message.of(octets, to.account, world.chat.accepted)


def test_unsent_messages_take_their_place_among_the_kept() -> None:
    world = World()
    live = unsent(world, "1")
    world.chat.leave(world.bob)
    later = world.tell("ann", "bob", "2")
    world.chat.keep([live])
    world.ask(world.bob, Command.LOGIN, "bob")
    kept = [octets for _, octets in world.ask(world.bob, Command.DELIVER)]
    assert kept == [live, later]


def test_only_the_copy_to_the_recipient_is_kept() -> None:
    world = World()
    sent = world.ask(world.ann, Command.SEND, "ann", "ann", "")
    assert [isinstance(octets, Message) for _, octets in sent] == [True, False]
    assert sent[0] == sent[1]


def test_unsent_messages_of_a_deleted_account_are_dropped() -> None:
    world = World()
    live = unsent(world, "1")
    world.ask(world.bob, Command.DELETE)
    world.chat.keep([live])
    world.ask(world.bob, Command.CREATE, "bob")
    world.chat.keep([live])
    assert world.ask(world.bob, Command.DELIVER) == []
    assert world.chat.kept == 0


FRAME = len(sends("ann", "zoe", ""))
LIMITS = [
    (Limits(kept=2), ["zoe", "zoe"], {"zoe"}),
    (Limits(kept_octets=2 * FRAME), ["zoe", "zoe"], {"zoe"}),
    (Limits(all_kept=2), ["zoe", "max"], {"zoe", "max"}),
    (Limits(all_kept_octets=2 * FRAME), ["zoe", "max"], {"zoe", "max"}),
    (Limits(all_kept_octets=2 * FRAME + 1), ["zoe", "max", "zoe"], {"zoe", "max"}),
]


@pytest.mark.parametrize(("limits", "accepted", "full"), LIMITS)
def test_limits_of_what_is_kept(
    limits: Limits, accepted: list[str], full: set[str]
) -> None:
    world = World(limits)
    world.ask(world.nobody, Command.CREATE, "max")
    world.chat.leave(world.nobody)
    for name in accepted:
        world.tell("ann", name, "")
    before = world.state()
    for name in ("zoe", "max"):
        outbox = world.ask(world.ann, Command.SEND, "ann", name, "")
        assert is_error(outbox, world.ann) == (name in full)
    assert full != {"zoe", "max"} or world.state() == before
    world.tell("ann", "bob", "who is online needs no room")
    world.ask(world.nobody, Command.LOGIN, "zoe")
    outbox = world.ask(world.ann, Command.SEND, "ann", "zoe", "but for what is kept")
    assert is_error(outbox, world.ann)
    world.ask(world.nobody, Command.DELIVER)
    world.tell("ann", "zoe", "")


def test_limit_of_accounts() -> None:
    world = World(Limits(accounts=4))
    world.ask(world.nobody, Command.CREATE, "four")
    five = Session()
    assert is_error(world.ask(five, Command.CREATE, "five"), five)
    world.ask(world.nobody, Command.DELETE)
    assert world.ask(five, Command.CREATE, "five") == [(five, SUCCESS)]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ((), ["ann", "bob", "zoe"]),
        (("*",), ["ann", "bob", "zoe"]),
        (("*o*",), ["bob", "zoe"]),
        (("zoe",), ["zoe"]),
        (("Zoe",), []),
    ],
)
@pytest.mark.parametrize("who", ["nobody", "ann"])
def test_list(fields: tuple[str, ...], names: list[str], who: str) -> None:
    world = World()
    me = world.nobody if who == "nobody" else world.ann
    answer = encode(Command.LISTRESPONSE, *names)
    assert world.ask(me, Command.LIST, *fields) == [(me, answer)]


def words(longest: int, letters: str) -> list[str]:
    return [
        "".join(word)
        for length in range(longest + 1)
        for word in itertools.product(letters, repeat=length)
    ]


def test_filters_mean_what_a_regular_expression_says() -> None:
    names = words(5, "ab")
    for pattern in words(5, "ab*"):
        expected = re.compile(pattern.replace("*", ".*"))
        matches = matcher(pattern)
        for name in names:
            assert matches(name) == bool(expected.fullmatch(name)), (pattern, name)


@pytest.mark.parametrize("pattern", ["a?", "[ab]c", "a.", ".*", "\\w"])
def test_other_characters_match_themselves(pattern: str) -> None:
    matches = matcher(pattern)
    assert matches(pattern) or "*" in pattern
    assert not any(map(matches, ["ab", "bc", "ac", "w"]))


@pytest.mark.parametrize(
    "pattern", ["*a" * 500 + "*b", "*" * 60_000 + "b", "*a*b" * 9000]
)
def test_no_filter_takes_long(pattern: str) -> None:
    matches = matcher(pattern)
    begin = time.thread_time()
    assert not any(matches("a" * 60 + "ab" * 2 + "a" + str(i)) for i in range(1000))
    assert time.thread_time() - begin < 1
