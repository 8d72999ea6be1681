"""What the recorder writes down is what passed, and comes true again."""

from collections.abc import Callable

import pytest

from tests.judged import judging
from tests.relayed import Client, chat, relaying
from wirechat.codec import Command, encode
from wirechat.rules import Chat, Outbox, Session
from wirechat.server import Server
from wirechat_conformance.failure import Failure
from wirechat_conformance.replay import replay
from wirechat_conformance.transcript import Transcript, read, write
from wirechat_tools.scribe import Scribe
from wirechat_tools.traffic import Stream


def record(
    server: tuple[str, int],
    play: Callable[[tuple[str, int]], None] = chat,
    loose: bool = False,
) -> str:
    scribe = Scribe(loose)
    with relaying(server, scribe) as relay:
        play(relay.address)
    return scribe.text()


def test_what_was_recorded_comes_true_again(server: Server) -> None:
    written = record(server.address)
    with judging() as run:
        replay(run, read("recorded", written))
    assert run.left == 0


class Newest(Chat):
    """Delivers the newest kept message first."""

    def receive(self, session: Session, item: object) -> Outbox:
        return super().receive(session, item)[::-1]  # type: ignore[arg-type]


def test_what_was_recorded_fails_at_the_rule_that_is_broken(server: Server) -> None:
    transcript: Transcript = read("recorded", record(server.address))
    with (
        judging(Server(chat=Newest())) as run,
        pytest.raises(Failure, match="kept 1") as failure,
    ):
        replay(run, transcript)
    assert failure.value.rules == ("DLV-1",)


def test_what_is_written(server: Server) -> None:
    written = record(server.address)
    assert write(read("recorded", written)) == written
    for line in (
        r'A > SEND 33 "\{alicia}|||\{bobert}|||hi \"bobert\" \\ \x1b"',
        r'A < SEND 118 "\{bobert}|||\{alicia}|||" "m"*100',
        r'A < RESPONSE 28 "no account has this username"',
        r'A < LISTRESPONSE with "\{alicia}" "\{bobert}" without "\{nobody}"',
        "A < LISTRESPONSE any",
        r'A < LISTRESPONSE 6 "\{bobert}"',
        "B half-close\nB eof",
        'C repeat LOGIN 6 "\\{bobert}"\nC < RESPONSE 0',
    ):
        assert f"\n{line}\n" in written


def test_loose_texts_of_errors(server: Server) -> None:
    assert "A < error\n" in record(server.address, loose=True)


def test_accounts_that_were_there_before_are_made_first(server: Server) -> None:
    ann = Client(server.address)
    ann.say(Command.CREATE, "ann7777")
    ann.leave()

    def play(address: tuple[str, int]) -> None:
        client = Client(address)
        client.say(Command.LOGIN, "ann7777")
        client.say(Command.LIST)
        client.leave()

    written = record(server.address, play)
    assert 'Z1 > CREATE 7 "\\{ann7777}"\nZ1 < RESPONSE 0\nZ1 half-close\n' in written
    assert 'A repeat LOGIN 7 "\\{ann7777}"\n' in written
    with judging() as run:
        replay(run, read("recorded", written))


def told(
    *events: tuple[str, bytes | None], loose: bool = False
) -> tuple[list[str], str]:
    """Return the lines on connections, A unless named, and the whole transcript."""
    scribe, streams = Scribe(loose), dict[str, Stream]()
    for what, octets in events:
        number = "AB".index(what[1:] or "A") + 1
        for side in "<>":
            if f"{side}{number}" not in streams:
                streams[f"{side}{number}"] = Stream(number, side=side)
                if side == ">":
                    scribe.opened(number, 1, ("127.0.0.1", 1), ("127.0.0.1", 2))
        stream = streams[f"{'>' if what[0] in '>hr' else '<'}{number}"]
        if octets is not None:
            scribe.passed(stream, 1, octets)
        elif what[0] in "he":
            scribe.ended(stream, 1)
        else:
            scribe.reset(stream, 1)
    written = scribe.text()
    read("told", written)
    return written.partition("\n\n")[2].splitlines(), written


HALF, CLOSED = ("h", None), ("e", None)
RESET, RESET_BY_SERVER = ("r", None), ("s", None)
NO = encode(6, "no")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([HALF, CLOSED], ["A half-close", "A eof"]),
        ([CLOSED, HALF], ["A eof", "A close"]),
        ([RESET], ["A reset"]),
        ([RESET_BY_SERVER], ["A eof"]),
        ([CLOSED, RESET_BY_SERVER], ["A eof"]),
        ([CLOSED, RESET], ["A eof", "A reset"]),
        # Cuts mean nothing, but half a frame is one.
        ([(">", b"\0"), (">", encode(1)[1:])], ["A > LIST 0"]),
        (
            [(">", encode(1) + encode(1)[:40]), HALF],
            ["A > LIST 0", 'A > octets "\\x00\\x01" "\\x00"*38', "A half-close"],
        ),
        # What comes back stands behind all that had been asked.
        (
            [(">", encode(0, "ann")[:44]), ("<", NO), (">", b"n"), (">", encode(1))],
            [
                'A > octets "\\x00" "\\x00"*40 "\\x03an"',
                'A < RESPONSE 2 "no"',
                'A > octets "n"',
                "A > LIST 0",
            ],
        ),
        ([(">", b"\1abc"), (">", b"d")], ['A > octets "\\x01abc"', 'A > octets "d"']),
        (
            [(">", b"\0\x09" + bytes(40) + encode(1))],
            ['A > octets "\\x00\\x09" "\\x00"*40', "A > LIST 0"],
        ),
        (
            [(">", b"\0\0" + b"\xff" * 40 + b"ab"), (">", encode(1)[:2])],
            ['A > octets "\\x00\\x00" "\\xff"*40 "ab"', 'A > octets "\\x00\\x01"'],
        ),
        # No step waits for what is no frame.
        ([("<", b"\1ab")], ['# A < octets "\\x01ab"']),
        ([(">", encode(4)), ("<", encode(6))], ["A > DELETE 0", "A < RESPONSE 0"]),
        ([("<", encode(7, "ann"))], ["A < LISTRESPONSE any"]),
        ([(">", encode(1, "a", "b"))], ['A > LIST 5 "\\{a}|||b"']),
    ],
)
def test_lines(events: list[tuple[str, bytes | None]], expected: list[str]) -> None:
    written, _ = told(*events)
    assert written[1:] == [
        line.replace('"\\x00" "\\x00"*40 "\\x03an"', '"\\x00"*41 "\\x03an"')
        for line in expected
    ]


def test_what_came_back_stands_ahead_of_what_others_did_then() -> None:
    first, second = encode(2, "a", "b", "1"), encode(2, "b", "a", "2")
    written, _ = told(
        (">A", first), (">B", second), ("<A", first), ("<A", second), ("<B", first)
    )
    order = [line[:3] + line[-2] for line in written if "SEND" in line]
    assert order == ["A >1", "A <1", "B >2", "A <2", "B <1"]


def test_tries_to_log_in_before_the_session_has_ended() -> None:
    login = (">B", encode(5, "ann7"))
    written, _ = told(
        (">", encode(0, "ann7")),
        ("<", encode(6)),
        RESET,
        *[login, ("<B", NO)] * 2,
        login,
        ("<B", encode(6)),
    )
    assert written[-3:] == ["B open", 'B repeat LOGIN 4 "\\{ann7}"', "B < RESPONSE 0"]


def test_login_that_does_not_wait_for_its_answer_is_sent_once() -> None:
    written, _ = told((">", encode(5, "ann7") + encode(3)), ("<", encode(6)), ("<", NO))
    assert '> LOGIN 4 "\\{ann7}"' in "\n".join(written)


def test_names_in_upper_case_and_in_errors() -> None:
    _, written = told(
        (">", encode(0, "ann")),
        ("<", encode(6, "no: ann is not ANN")),
        (">", encode(0, "ANN")),
        ("<", encode(6, "no: ANN is not ann")),
        (">", encode(0, "no way")),
        ("<", encode(6, "no: no way")),
    )
    assert "name    ANN = upper ann\n" in written
    assert '< RESPONSE 18 "no: \\{ann} is not ANN"\n' in written
    assert '< RESPONSE 18 "no: \\{ANN} is not ann"\n' in written
    assert '< RESPONSE 10 "no: no way"\n' in written


def test_many_connections_have_names_of_their_own() -> None:
    scribe = Scribe()
    for number in range(1, 60):
        scribe.opened(number, 1, ("127.0.0.1", 1), ("127.0.0.1", 2))
    names = [line.split()[0] for line in scribe.text().splitlines()[2:]]
    assert len(set(names)) == 59
    assert names[24:26] == ["Y", "A1"]
