"""The soak test finds what is wrong, and what it does to a server is bearable."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults import FAULTS
from tests.parts import Part, Server, assemble
from tests.soak import __main__ as soak
from tests.soak import couples, friends, hostile
from tests.soak.couples import Sleeper
from tests.soak.friends import Friend, in_order, problem
from tests.soak.line import Fault, Line
from tests.soak.watched import Figures
from wirechat.codec import Command, encode
from wirechat.server import IDLE

pytestmark = pytest.mark.whole


@pytest.mark.parametrize(
    ("count", "visits", "told"),
    [
        (0, [], ""),
        (3, [[1, 2, 3]], ""),
        (5, [[1, 2], [5, 3, 4]], ""),
        (5, [[1], [4, 2, 3, 5]], ""),
        (3, [[1, 2]], "of 3 lost=[3] doubled=[] unknown=[]"),
        (3, [[1], [1, 2, 3]], "of 3 lost=[] doubled=[1] unknown=[]"),
        (1, [[1, 2]], "of 1 lost=[] doubled=[] unknown=[2]"),
        (3, [[1, 3, 2]], "of 3 in the wrong order: [1, 3, 2]"),
        (4, [[3, 2, 1, 4]], "of 4 in the wrong order: [2, 1, 3, 4]"),
        (4, [[3, 4], [1, 2]], "of 4 in the wrong order: [3, 4, 1, 2]"),
    ],
)
def test_what_came_is_compared_with_what_was_sent(
    count: int, visits: list[list[int]], told: str
) -> None:
    assert problem(count, visits) == told


def test_kept_messages_may_come_between_live_ones() -> None:
    assert in_order([7, 3, 4, 8, 5, 9]) == [3, 4, 5, 7, 8, 9]


@pytest.mark.parametrize(
    ("threads", "descriptors", "is_so"),
    [(2, 5, False), (2 + IDLE, 5, False), (3 + IDLE, 5, True), (1, 6, True)],
)
def test_what_a_server_takes_is_compared_with_what_it_took(
    threads: int, descriptors: int, is_so: bool
) -> None:
    assert Figures(30.0, threads, descriptors).left_over(Figures(20.0, 2, 5)) is is_so


def problems(part: Part) -> list[str]:
    """Have some friends chat on a server with this part, and say what is wrong."""
    with assemble(part, 0) as server:
        run = soak.party(server.address, 4, Figures(0, 0, 0))
        del run.sleepers[:], run.mortals[1:]
        try:
            live(run)
            soak.check(run)
        except Fault as fault:
            run.problems.append(repr(fault))
        return run.problems


def live(run: soak.Soak) -> None:
    """Have the friends chat for a moment, and a mortal die once."""
    names = [friend.name for friend in run.friends]

    def come_and_go(friend: Friend) -> None:
        for _ in range(4):
            friend.visit(names, 10)

    for friend in run.friends:
        friend.visit()
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(come_and_go, run.friends))
    (mortal,) = run.mortals
    mortal.rise()
    mortal.die()
    mortal.rise()


def test_nothing_is_wrong_with_the_reference() -> None:
    assert problems(Server) == []


@pytest.mark.parametrize(
    "fault",
    [
        "each-fiftieth-twice",
        "each-fiftieth-lost",
        "each-fiftieth-cut",
        "live-newest-first",
        "live-kept-too",
        "newest-first",
        "delivered-again",
        "one-a-deliver",
        "echo-missing",
        "echo-trimmed",
        "offline-refused",
        "oneself-gets-one-copy",
        "oneself-gets-it-kept",
        "oneself-refused",
        "delete-ends-session-only",
        "delete-refused-while-kept",
        "names-used-once",
        "kept-outlives-account",
        "sender-takes-messages-along",
        "sender-made-anonymous",
    ],
)
def test_a_message_or_an_account_that_is_wrong_is_found(fault: str) -> None:
    assert problems(FAULTS[fault].part)


def test_a_friend_gives_up_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(friends, "TRIES", 2)
    monkeypatch.setattr(friends, "AWAY", 0.001)
    with Server(max_connections=1) as server, Line(server.address) as line:
        line.ask()
        friend = Friend("ann", server.address)
        with pytest.raises(Fault, match="ann found no room in 2 tries"):
            friend.visit()
        assert friend.refused == 2


def test_a_sleeper_is_cut_off_and_misses_nothing() -> None:
    with Server(max_queue=100_000) as server:
        sleeper = Sleeper("ann", server.address)
        sleeper.sleep()
        sleeper.reader.visit()
    assert sleeper.cut_off == 1
    count = sleeper.sender.accepted["ann.r"]
    assert count == 3 * couples.FLOOD
    assert problem(count, sleeper.reader.came["ann.s"]) == ""


@pytest.mark.parametrize("attack", hostile.ATTACKS)
def test_an_attack_does_no_harm(
    attack: hostile.Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "BUSY", 0.05)
    hasty = threading.Event()
    hasty.set()  # there is no time for pauses
    with Server() as server, Line(server.address) as friend:
        friend.ask(encode(Command.CREATE, "ann"))
        attack(hostile.Foe("foe", server.address, hasty))
        hi = encode(Command.SEND, "ann", "ann", "hi")
        assert len(friend.ask(hi)) == 2


@pytest.mark.matrix
def test_a_short_soak(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--seconds", "5", "--friends", "10"]) == 0
    assert capsys.readouterr().out.endswith("\n0 problems\n")


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("fault", "told"),
    [("reset-is-fatal", "Error"), ("broken-pipe-is-fatal", "Error")],
)
def test_a_server_that_does_not_stand_it_is_found(
    fault: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = f"{sys.executable} -m tests.faults {fault} --port 0"
    assert soak.main(["--seconds", "5", "--friends", "4", "--server", server]) == 1
    assert told in capsys.readouterr().out
