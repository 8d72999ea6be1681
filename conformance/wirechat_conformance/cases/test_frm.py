"""Frames: sweeps over all values, and malformed ones many times."""

from collections.abc import Callable

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.judge import is_error
from wirechat_conformance.pace import in_time
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

LENGTH = 40
"""Octets of a header's length."""
WORDS = 35
"""Octets that leave some over, in whatever words a program takes them."""
INSIDE = 64
"""Octets of each of the frames that are data of another: buffers end at a multiple."""
BATCH = 46
"""Connections used at a time: less than half of those that a server has to serve."""


def sweep(run: Run, rule: str, damaged: list[bytes]) -> None:
    """See that each of these frames is rejected, many connections at a time.

    Beside them goes their twin, a LIST that must be answered.
    """
    connections = [f"C{number}" for number in range(BATCH)]
    with Script(run, rule) as script:
        script.open("Twin")
        for start in range(0, len(damaged), BATCH):
            batch = dict(zip(connections, damaged[start:], strict=False))
            for connection, octets in batch.items():
                if not script.serves(connection):
                    script.open(connection)
                script.octets(connection, octets)
            script.send("Twin", frames.LIST, run.unused)
            script.receive("Twin", frames.LISTRESPONSE)
            script.rejected(*batch)


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("FRM-2")
def test_every_wrong_version(run: Run) -> None:
    """Each version but 0 is rejected."""
    data = run.unused
    versions = range(1, 256)
    wrong = [frames.header(frames.LIST, len(data), v) + data for v in versions]
    sweep(run, "FRM-2", wrong)


LEADS = [b"\n", b"\r", b" ", b"\t", b"\xff"]
"""Octets in front of a frame that a program may skip."""
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.beside(10)
@pytest.mark.rules("FRM-2", "FRM-1")
def test_octets_between_frames(run: Run) -> None:
    """There is nothing between frames: what stands there is the next one's version."""
    with Script(run, "FRM-2") as script:
        script.open("B")
        for lead in LEADS:
            name = run.names.fresh()
            script.open("A")
            script.octets("A", lead + frames.frame(frames.CREATE, name))
            script.perform(steps.HalfClose("A"))
            while reply := script.any("A"):
                if not is_error(reply):
                    script.fail("a rejection", reply)
            script.send("B", frames.LIST, name)
            script.listed("B")
        script.open("A")
        script.octets("A", HTTP)
        script.perform(steps.HalfClose("A"))
        while script.any("A"):
            pass  # a frame, if anything


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("FRM-5")
def test_every_unknown_command(run: Run) -> None:
    """Each command code that no client sends is rejected."""
    commands = range(frames.RESPONSE, 256)
    data = run.names.fresh()  # which may be made an account where a command is mistaken
    sweep(run, "FRM-5", [frames.frame(command, data) for command in commands])


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("FRM-5")
def test_every_unknown_command_without_data(run: Run) -> None:
    """Each command code that no client sends is rejected without data, too."""
    commands = range(frames.RESPONSE, 256)
    sweep(run, "FRM-5", [frames.frame(command) for command in commands])


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("ACC-6")
def test_every_control_character(run: Run) -> None:
    """Each control character is rejected in a username, wherever it is."""
    octets = [*range(0x20), 0x7F]
    names = [(run.names.fresh(), bytes([octet])) for octet in octets]
    wrong = [name + octet for name, octet in names]
    wrong += [name[:4] + octet + name[4:] for name, octet in names]
    sweep(run, "ACC-6", [frames.frame(frames.CREATE, name) for name in wrong])


NAMING: dict[str, Callable[[int, bytes], bytes]] = {
    "DAT-2": lambda command, name: frames.frame(command, name + b"\x80"),
    "DAT-3": lambda command, name: frames.frame(command, name, b"x"),
    "FRM-2": lambda command, name: b"\1" + frames.frame(command, name)[1:],
}
"""Malformed frames in which a username stands, by the rule that each breaks."""


@pytest.mark.beside(10)
@pytest.mark.parametrize(
    "rule", [pytest.param(r, marks=pytest.mark.rules(r, "ACC-1")) for r in NAMING]
)
def test_malformed_frames_leave_no_mark(run: Run, rule: str) -> None:
    """A username that stood in a malformed frame can be made, and logged in to."""
    with Script(run, rule) as script:
        for command in (frames.CREATE, frames.LOGIN):
            name = run.names.fresh()
            damaged = NAMING[rule](command, name)
            for exists in (False, True):
                script.open("A")
                script.octets("A", damaged)
                script.rejected("A")
                script.perform(steps.Close("A"))
                script.open("B")
                if exists:
                    script.login("B", name)
                else:
                    script.create("B", name)
                script.leave("B")


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("DAT-2")
def test_every_octet_above_ascii(run: Run) -> None:
    """Each octet above 0x7F is rejected in a filter, and in a username."""
    octets = range(0x80, 0x100)
    wrong = [
        frames.frame(command, run.names.fresh() + bytes([octet]))
        for command in (frames.LIST, frames.CREATE)
        for octet in octets
    ]
    sweep(run, "DAT-2", wrong)


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("DAT-2")
def test_octet_above_ascii_anywhere(run: Run) -> None:
    """An octet above 0x7F is rejected wherever it is in the data."""
    data = run.unused.ljust(WORDS, b"x")
    wrong = [data[:at] + b"\x80" + data[at + 1 :] for at in range(len(data))]
    wrong += [data[:length] + b"\xff" for length in range(WORDS)]
    sweep(run, "DAT-2", [frames.frame(frames.LIST, each) for each in wrong])


COUNTS = [2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 100, 128, 129, 255]
COUNTS += [256, 257, 258, 512, 513, 1000, 1025, 16_000]
"""Fields, more than a command takes, of which a program may lose count."""


@pytest.mark.examples
@pytest.mark.beside(50)
@pytest.mark.rules("DAT-3")
def test_every_number_of_fields(run: Run) -> None:
    """Where a command takes one field, a frame with any other number is rejected."""
    with Script(run) as script:
        account = script.account("A")
        script.leave("A")
    one = {frames.CREATE: run.names.fresh(), frames.LIST: account}
    one[frames.LOGIN] = account
    wrong = [
        frames.frame(command, name, *[b"x"] * (count - 1))
        for command, name in one.items()
        for count in COUNTS
    ]
    for command, name in one.items():
        wrong += [frames.frame(command, *[b""] * count, name) for count in (1, 2, 3)]
        wrong += [frames.frame(command, name, *[b""] * count) for count in (1, 2, 3)]
    sweep(run, "DAT-3", wrong)


MALFORMED: dict[str, list[tuple[int, bytes]]] = {
    "FRM-5": [
        (frames.UNKNOWN, b"x"),
        (frames.RESPONSE, b""),
        (frames.LISTRESPONSE, b"%b"),
    ],
    "DAT-2": [
        (frames.SEND, b"%b|||%b|||\x80"),
        (frames.LIST, b"%b\xff"),
        (frames.DELETE, b"\x80"),
    ],
    "DAT-3": [
        (frames.DELIVER, b"x"),
        (frames.DELIVER, b"x" * 256),
        (frames.DELETE, b" "),
        (frames.DELIVER, b"\n"),
        (frames.DELETE, b"%b"),
        (frames.CREATE, b""),
        (frames.LOGIN, b"%b|||%b"),
        (frames.LIST, b"%b|||%b"),
    ],
    "SND-10": [(frames.SEND, b"%b|||%b"), (frames.SEND, b""), (frames.SEND, b"%b")],
}
"""Malformed frames, by the rule that each breaks; ``%b`` stands for one's username."""
HUNDREDS = 300
"""Malformed frames on one connection: more than an octet counts."""
TIMES = 4
"""How often each of them is sent."""


@pytest.mark.beside(10)
@pytest.mark.parametrize(
    "rule", [pytest.param(r, marks=pytest.mark.rules(r, "FRM-12")) for r in MALFORMED]
)
def test_malformed_again_and_again(run: Run, rule: str) -> None:
    """However often a frame was malformed, nothing is lost by it.

    The session is as it was, if the connection is, and so is what is kept.
    """
    with Script(run, rule) as script:
        sender, name = script.account("A"), script.account("B")
        script.leave("B")
        script.send("A", frames.SEND, sender, name, b"kept")
        script.receive("A", frames.SEND, sender, name, b"kept")
        script.open("C")
        script.login("C", name)
        for command, data in MALFORMED[rule] * TIMES:
            octets = frames.frame(command, data.replace(b"%b", name))
            script.octets("C", octets)
            script.rejected("C")
            if not script.serves("C"):
                script.perform(steps.Close("C"))
                script.open("C")
                script.login("C", name)
                break
        script.send("C", frames.SEND, name, name, b"hi")
        script.receive("C", frames.SEND, name, name, b"hi")
        script.receive("C", frames.SEND, name, name, b"hi")
        script.send("C", frames.DELIVER)
        script.receive("C", frames.SEND, sender, name, b"kept")


@pytest.mark.examples
@pytest.mark.rules("FRM-12")
def test_malformed_hundreds_of_times(run: Run) -> None:
    """However many frames were malformed, the connection is as usable as before."""
    with Script(run, "FRM-12") as script:
        script.open("A")
        for _ in range(HUNDREDS):
            script.octets("A", frames.frame(frames.UNKNOWN, b"x"))
            script.error("A")


@pytest.mark.beside(10)
@pytest.mark.rules("FRM-12", "FRM-5", "SND-1")
def test_live_message_amid_a_malformed_frame(run: Run) -> None:
    """A live message comes amid a malformed frame, which is skipped all the same."""
    with Script(run, "FRM-12", "FRM-5") as script:
        name, sender = script.account("A"), script.account("B")
        data = frames.frame(frames.DELETE) + frames.frame(frames.LIST, name)
        script.octets("A", frames.header(frames.UNKNOWN, len(data)))
        run.check_witness()
        script.send("B", frames.SEND, sender, name, b"live")
        script.receive("B", frames.SEND, sender, name, b"live")
        run.check_witness()
        script.octets("A", data)
        script.send("A", frames.LIST, name)
        replies = [script.any("A"), script.any("A"), script.any("A")]
        if None in replies:
            pytest.skip("the server closes the connection")
        commands = sorted(reply.command for reply in replies if reply)
        if commands != [frames.SEND, frames.RESPONSE, frames.LISTRESPONSE]:
            script.fail("a message, an error reply, and a list", str(commands))
        script.fence("A")
        script.send("A", frames.LIST, name)
        script.listed("A", name)


@pytest.mark.examples
@pytest.mark.rules("DAT-2", "SND-9")
def test_octet_above_ascii_in_long_messages(run: Run) -> None:
    """A message with an octet above 0x7F is rejected, however long, and cut there.

    Its twin without that octet is delivered.
    """
    with Script(run, "DAT-2") as script:
        for length in (100, 1100, 4200, 16_500, 65_000):
            for at in (0, length // 2, length - 1):
                if not script.serves("A"):
                    name = script.account("A")
                right = frames.frame(frames.SEND, name, name, b"m" * length)
                bad = len(right) - length + at
                wrong = right[:bad] + b"\x80" + right[bad + 1 :]
                for cut in (len(wrong), bad, bad + 1):
                    if not script.serves("A"):
                        break
                    script.octets("A", wrong[:cut])
                    run.check_witness()
                    script.octets("A", wrong[cut:])
                    script.rejected("A")
            if script.serves("A"):
                script.octets("A", right)
                script.receive("A", frames.SEND, name, name, b"m" * length)
                script.receive("A", frames.SEND, name, name, b"m" * length)


@pytest.mark.rules("FRM-5", "FRM-6")
@pytest.mark.parametrize("behind", [0, INSIDE - frames.HEADER_SIZE])
def test_frames_within_a_malformed_frame(run: Run, behind: int) -> None:
    """Nothing in the data of a malformed frame is a request.

    It is as long as all servers accept. In it are frames that begin where the data
    does, or where a buffer ends: a program that skips a part carries out the rest.
    """
    with Script(run, "FRM-5") as script:
        name = script.account("A")
        script.open("B")
        pattern = name.ljust(INSIDE - frames.HEADER_SIZE, b"*")
        data = b"x" * behind + frames.frame(frames.LIST, pattern) * (65_535 // INSIDE)
        data = data.ljust(65_536, b"x")
        script.octets("B", frames.header(frames.UNKNOWN, len(data)) + data)
        script.rejected("B")


@pytest.mark.rules("FRM-7", "FRM-10")
def test_many_announcements(run: Run) -> None:
    """Lengths of all sizes are announced on many connections, and others are served."""
    with Script(run, "FRM-7", "FRM-10") as script:
        name = script.account("A")
        lengths = [2**16, 2**20, 2**24, 2**28, 2**30, 2**31 - 1, 2**31, 2**32 - 1]
        lengths += [2**40, 2**62, 2**63, 2**320 - 1]
        for at, length in enumerate(lengths * 3):
            script.open(f"L{at}")
            announced = frames.header(frames.SEND, length) + name
            script.octets(f"L{at}", announced)
            script.send("A", frames.SEND, name, name, b"%d" % at)
            script.receive("A", frames.SEND, name, name, b"%d" % at)
            script.receive("A", frames.SEND, name, name, b"%d" % at)
        for at in range(3 * len(lengths)):
            script.perform(steps.Reset(f"L{at}"))


@pytest.mark.rules("FRM-7")
def test_every_octet_of_a_length(run: Run) -> None:
    """Each octet of a length counts: none may be there without making it longer.

    What is announced so is a frame that is whole but for that octet, and then the end.
    """
    with Script(run, "FRM-7") as script:
        names = [run.names.fresh() for _ in range(2, LENGTH)]
        script.open("A", *map(bytes.decode, names))
        for bit, name in enumerate(names, 2):
            octets = frames.header(frames.CREATE, len(name) + (1 << 8 * bit)) + name
            script.octets(name.decode(), octets)
            script.perform(steps.HalfClose(name.decode()))
        for name in names:
            reply = script.any(name.decode())
            if reply is not None and not is_error(reply):
                script.fail("no reply to data that never comes", reply)
        for name in names:
            script.send("A", frames.LIST, name)
            script.listed("A")


@pytest.mark.beside(10)
@pytest.mark.rules("FRM-7", "FRM-9")
@pytest.mark.parametrize("command", ["LIST", "DELIVER", "DELETE"])
def test_lengths_that_look_like_none(run: Run, command: str) -> None:
    """A length of which an integer of a machine sees nothing, or a sign, is not zero.

    It is announced, nothing comes, and the sending side is closed: so nothing is
    carried out, and nothing but a refusal comes.
    """
    lengths = [2**31, 2**32, 2**53, 2**63, 2**64, 2**64 + 2**63, 2**128, 2**312, 2**319]
    for length in lengths:
        with Script(run, "FRM-7") as script:
            name = script.account("A")
            script.octets("A", frames.header(frames.COMMANDS[command], length))
            script.perform(steps.HalfClose("A"))
            reply = script.any("A")
            if reply is not None and not is_error(reply):
                script.fail(f"no reply to {length} octets that never come", reply)
            if reply is not None:
                script.perform(steps.End("A", rules=("FRM-9",)))
            script.open("B")
            script.send("B", frames.LIST, name)
            script.listed("B", name)


@pytest.mark.rules("FRM-8", "FRM-7")
def test_every_power_of_two(run: Run) -> None:
    """Whatever the limit is, a length over it is told of, and ends the connection.

    Of a length under it nothing is seen here: the server waits for the data.
    """
    with Script(run, "FRM-8") as script:
        powers = [f"P{power}" for power in range(17, 63)]
        script.open(*powers, "Over")
        for connection in powers:
            length = 1 << int(connection[1:])
            script.octets(connection, frames.header(frames.LIST, length))
        script.octets("Over", frames.header(frames.LIST, 1 << 63))
        script.error("Over")
        script.perform(steps.End("Over", rules=script.rules))
        run.check_witness()  # by now the others have been answered too, by most servers
        for connection in powers:
            peer = script.connections[connection].peer
            if not peer.comes():
                script.perform(steps.Reset(connection))
                continue
            reply = script.any(connection)
            if reply is None or not is_error(reply):
                script.fail(f"an error reply to 2^{connection[1:]} octets", reply)
            script.perform(steps.End(connection, rules=script.rules))


BEYOND = [65_537, 65_600, 70_000, 131_072, 200_000, 1 << 20]
"""Octets of data that a server may take or not."""


@pytest.mark.examples
@pytest.mark.rules("SND-9", "FRM-8", "FRM-6")
def test_messages_beyond_what_all_take(run: Run) -> None:
    """A message that is longer than a server has to take is delivered whole, or not."""
    with Script(run, "SND-9") as script:
        sender, recipient = script.account("A"), script.account("B")
        for length in in_time(BEYOND):
            fields = sender, recipient
            text = (
                b"m" * (length - len(frames.SEPARATOR.join([*fields, b""])) - 1) + b"."
            )
            script.octets("A", frames.frame(frames.SEND, *fields, text))
            if not script.peek("A", frames.SEND):
                script.perform(steps.ReceiveRejection("A", rules=("FRM-6", "SND-9")))
                script.fence("B")
                script.perform(steps.Reset("A"))
                return
            script.receive("A", frames.SEND, *fields, text)
            script.receive("B", frames.SEND, *fields, text)


LONG = b"x" * 65_536
QUOTED: dict[str, tuple[bool, int, bytes]] = {
    "ACC-7": (True, frames.CREATE, LONG),
    "ACC-9": (False, frames.LOGIN, LONG),
    "ACC-11": (True, frames.LOGIN, LONG),
    "SND-4": (False, frames.SEND, LONG[20:] + b"|||x|||y"),
    "SND-5": (True, frames.SEND, LONG[20:] + b"|||x|||y"),
    "SND-6": (True, frames.SEND, b"%b|||" + LONG[50:] + b"|||y"),
    "SND-10": (True, frames.SEND, b"%b|||" + LONG[50:]),
    "DAT-2": (True, frames.LIST, LONG[1:] + b"\xff"),
    "DAT-3": (True, frames.DELETE, LONG),
    "FRM-5": (True, frames.UNKNOWN, LONG),
}
"""Requests that are refused, with much that an error text may quote."""


@pytest.mark.beside(10)
@pytest.mark.parametrize(
    "rule", [pytest.param(r, marks=pytest.mark.rules(r, "FRM-6")) for r in QUOTED]
)
def test_refusal_of_much(run: Run, rule: str) -> None:
    """However much is refused, the error text is no longer than it may be."""
    in_session, command, data = QUOTED[rule]
    with Script(run, rule) as script:
        script.open("A")
        if in_session:
            name = run.names.fresh()
            script.create("A", name)
            data = data.replace(b"%b", name)
        script.octets("A", frames.header(command, len(data)) + data)
        if rule in MALFORMED:
            script.rejected("A")
        else:
            script.error("A")
            script.fence("A")
