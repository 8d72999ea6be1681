"""Frames and the stream: sweeps over all values, cuts everywhere, many at once."""

import math
import random
import time

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.judge import is_error
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script, messages_of

LENGTH = 40
"""Octets of a header's length."""
SLOW = 0.1
"""Seconds for one of the longest messages, on a server that sends octets one by one."""
MUCH = 80
"""Of these 5 MB are more than a kernel takes for one connection: Linux takes 4 MiB."""
TRIED = 5
"""Messages of which none may be so slow: some are, where the machine is busy."""
WORDS = 35
"""Octets that leave some over, in whatever words a program takes them."""
LETTERS, FILL = bytes(range(97, 123)), b"x" * 12
MESSAGES = 7
"""Of ten requests so many are messages: more would have echoes of over 128 KiB."""
THOUSANDS = 4200
"""Requests on one connection: more than 4,096 and, of messages, than 2,048."""
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


@pytest.mark.beside(50)
@pytest.mark.rules("FRM-2")
def test_every_wrong_version(run: Run) -> None:
    """Each version but 0 is rejected."""
    data = run.unused
    versions = range(1, 256)
    wrong = [frames.header(frames.LIST, len(data), v) + data for v in versions]
    sweep(run, "FRM-2", wrong)


@pytest.mark.beside(50)
@pytest.mark.rules("FRM-5")
def test_every_unknown_command(run: Run) -> None:
    """Each command code that no client sends is rejected."""
    commands = range(frames.RESPONSE, 256)
    data = run.names.fresh()  # which may be made an account where a command is mistaken
    sweep(run, "FRM-5", [frames.frame(command, data) for command in commands])


@pytest.mark.beside(50)
@pytest.mark.rules("FRM-5")
def test_every_unknown_command_without_data(run: Run) -> None:
    """Each command code that no client sends is rejected without data, too."""
    commands = range(frames.RESPONSE, 256)
    sweep(run, "FRM-5", [frames.frame(command) for command in commands])


@pytest.mark.beside(50)
@pytest.mark.rules("DAT-2")
def test_every_octet_above_ascii(run: Run) -> None:
    """Each octet above 0x7F is rejected in a filter."""
    octets = range(0x80, 0x100)
    wrong = [frames.frame(frames.LIST, run.unused + bytes([octet])) for octet in octets]
    sweep(run, "DAT-2", wrong)


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
    sweep(run, "DAT-3", wrong)


MALFORMED: dict[str, list[tuple[int, bytes]]] = {
    "FRM-5": [(9, b"x"), (frames.RESPONSE, b""), (frames.LISTRESPONSE, b"%b")],
    "DAT-2": [
        (frames.SEND, b"%b|||%b|||\x80"),
        (frames.LIST, b"%b\xff"),
        (frames.DELETE, b"\x80"),
    ],
    "DAT-3": [
        (frames.DELIVER, b"x"),
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


@pytest.mark.beside(10)
@pytest.mark.rules("FRM-3")
def test_every_cut(run: Run) -> None:
    """A frame is cut at each place; between the halves another connection is served."""
    with Script(run, "FRM-3") as script:
        name = script.account("A")
        script.open("B")
        fields = name, name, b"hi"
        octets = frames.frame(frames.SEND, *fields)
        for cut in range(1, len(octets)):
            script.octets("A", octets[:cut])
            script.fence("B")
            script.octets("A", octets[cut:])
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)


@pytest.mark.beside(10)
@pytest.mark.rules("FRM-3")
def test_cuts_between_two_frames(run: Run) -> None:
    """Two frames are sent, cut in the second one or between them."""
    with Script(run, "FRM-3") as script:
        name = script.account("A")
        script.open("B")
        fields = name, name, b"hi"
        octets = frames.frame(frames.SEND, *fields)
        for cut in range(0, len(octets), 7 if run.slow else 1):
            script.octets("A", octets + octets[:cut])
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)
            script.fence("B")
            script.octets("A", octets[cut:])
            script.receive("A", frames.SEND, *fields)
            script.receive("A", frames.SEND, *fields)


@pytest.mark.rules("FRM-4", "LIM-3", "SND-5", "SND-11", "SND-12", "DLV-1")
def test_a_thousand_messages_ahead_of_their_echoes(run: Run) -> None:
    """A thousand messages are sent without waiting, kept, and delivered.

    So are some more, if there is room; and afterwards there is room again.
    """
    with Script(run, "FRM-4") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        messages = [b"%04d" % number + b"m" * 56 for number in range(1100)]
        sent = [frames.frame(frames.SEND, sender, recipient, m) for m in messages]
        script.octets("A", b"".join(sent[:1000]))
        for message in messages[:1000]:
            if not script.peek("A", frames.SEND):
                script.rules = ("LIM-3",)
            script.receive("A", frames.SEND, sender, recipient, message)
        script.octets("A", b"".join(sent[1000:]))
        accepted = messages[:1000]
        for message in messages[1000:]:
            if script.peek("A", frames.SEND):
                script.receive("A", frames.SEND, sender, recipient, message)
                accepted.append(message)
            else:
                script.error("A")
        script.open("C")
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        script.send("C", frames.LIST, run.unused)
        kept, _ = messages_of(script, "C")
        if len(kept) < len(accepted):
            script.rules = "LIM-3", "SND-12", "DLV-1"
            script.fail(f"{len(accepted)} kept messages", f"{len(kept)} of them")
        if kept != accepted:
            script.rules = "DLV-1", "SND-11"
            script.fail("the messages as they were sent, oldest first", "others")
        script.rules = ("LIM-3",)
        script.leave("C")
        script.send("A", frames.SEND, recipient, recipient, b"in another's name")
        script.error("A", "SND-5")
        script.send("A", frames.SEND, sender, recipient, b"again")
        script.receive("A", frames.SEND, sender, recipient, b"again")


@pytest.mark.rules("FRM-4")
def test_a_thousand_requests_of_a_hundred_octets(run: Run) -> None:
    """A thousand filters of 100 octets go out at once; each tenth names somebody."""
    with Script(run, "FRM-4") as script:
        name = script.account("A")
        somebody, nobody = name.ljust(100, b"*"), name.ljust(100, b"n")
        filters = [nobody if number % 10 else somebody for number in range(1000)]
        requests = [frames.frame(frames.LIST, pattern) for pattern in filters]
        script.octets("A", b"".join(requests))
        for pattern in filters:
            found = [name] if pattern == somebody else []
            script.receive("A", frames.LISTRESPONSE, *found)


@pytest.mark.rules("FRM-4", "SND-2")
def test_a_thousand_requests_that_differ(run: Run) -> None:
    """A thousand requests go out at once, of other lengths and texts each, then more.

    So what is left of one in a buffer can't pass for what belongs to another.
    """
    source = random.Random(run.settings.seed)
    with Script(run, "FRM-4") as script:
        sender = script.account("A")
        for connection in "BC":
            recipient = script.account(connection)
            script.leave(connection)
            requests = []
            for number in range(1000):
                text = bytes(source.choices(LETTERS, k=source.randrange(72, 81)))
                message = frames.SEND, sender, recipient, text
                listing = frames.LIST, run.unused + text + FILL
                requests.append(message if number % 10 < MESSAGES else listing)
            octets = [frames.frame(*request) for request in requests]
            script.octets("A", b"".join(octets))
            for command, *fields in requests:
                if command == frames.SEND:
                    script.receive("A", frames.SEND, *fields)
                else:
                    script.receive("A", frames.LISTRESPONSE)


@pytest.mark.examples
@pytest.mark.beside(10)
@pytest.mark.rules("FRM-4", "SND-12")
def test_thousands_of_requests(run: Run) -> None:
    """However many requests there were on a connection, the next one is as good.

    Each second one is a message to oneself: so there are as many of these as replies.
    """
    with Script(run, "FRM-4", "SND-12") as script:
        name = script.account("A")
        texts = [b"%04d" % number for number in range(run.pace.part(THOUSANDS // 2))]
        listing = frames.frame(frames.LIST, run.unused)
        for start in range(0, len(texts), 250):
            batch = texts[start : start + 250]
            sent = [frames.frame(frames.SEND, name, name, text) for text in batch]
            script.octets("A", b"".join(message + listing for message in sent))
            for text in batch:
                script.receive("A", frames.SEND, name, name, text)
                script.receive("A", frames.SEND, name, name, text)
                script.receive("A", frames.LISTRESPONSE)


@pytest.mark.rules("FRM-9", "FRM-4")
def test_half_close_behind_a_thousand_requests(run: Run) -> None:
    """A thousand requests, and the end behind them: all are answered, then it ends."""
    with Script(run, "FRM-9") as script:
        name = script.account("A")
        request = frames.frame(frames.LIST, name)
        script.octets("A", request * 1000)
        script.perform(steps.HalfClose("A"))
        for _ in range(1000):
            script.receive("A", frames.LISTRESPONSE, name)
        script.perform(steps.End("A", rules=script.rules))


@pytest.mark.examples
@pytest.mark.rules("FRM-9", "DLV-1", "SND-12")
def test_half_close_behind_much_to_deliver(run: Run) -> None:
    """What DELIVER brings is sent to its end, though the client has half closed.

    It is more than the kernels hold: the server has to wait until there is room. Where
    it cuts off who lets so much wait (SND-14), this shows nothing. It may keep a part,
    too, but lose none.
    """
    texts = [b"%02d" % number + b"m" * 65_000 for number in range(MUCH)]
    with Script(run, "FRM-9", "DLV-1") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        for connection in "CD":
            script.open_deaf(connection)
            fill(script, sender, recipient, texts)
            script.login(connection, recipient)
            script.send(connection, frames.DELIVER)
            script.send(connection, frames.LIST, run.unused)
            if connection == "C":
                got, connected = messages_of(script, "C")
                if connected:
                    script.send("C", frames.DELIVER)
                    script.send("C", frames.LIST, run.unused)
                    kept, _ = messages_of(script, "C")
                    if got + kept != texts:
                        script.rules = "SND-12", "DLV-1"
                        script.fail(
                            f"{len(texts)} kept messages", f"{len(got)} of them"
                        )
                if got != texts:
                    pytest.skip("the server does not let so much wait")
                script.leave("C")
        script.perform(steps.HalfClose("D"))
        for text in texts:
            script.receive("D", frames.SEND, sender, recipient, text)
        script.receive("D", frames.LISTRESPONSE)
        script.perform(steps.End("D", rules=("FRM-9",)))


def fill(script: Script, sender: bytes, recipient: bytes, texts: list[bytes]) -> None:
    """Have these messages kept; leave the case out where there is no room for them.

    Or where it would go on for minutes: octets may leave one by one.
    """
    fastest = math.inf
    for number, text in enumerate(texts):
        begun = time.monotonic()
        script.send("A", frames.SEND, sender, recipient, text)
        message = script.peek("A", frames.SEND)
        fastest = min(fastest, time.monotonic() - begun)
        if number == TRIED and fastest > SLOW:
            pytest.skip("the server takes its time over long messages")
        if not message:
            script.error("A", "SND-2", "LIM-3")
            pytest.skip("the server does not keep so much")
        script.receive("A", frames.SEND, sender, recipient, text)


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


@pytest.mark.rules("FRM-13")
@pytest.mark.parametrize("sent", ["at-once", "meanwhile"])
@pytest.mark.parametrize("damage", ["version", "length"])
def test_reply_can_be_read_before_a_reset(run: Run, damage: str, sent: str) -> None:
    """The reply that comes before the end of a connection is not lost to a reset.

    Behind the frame go octets that the server has no reason to take, with it or while
    the reply is on its way.
    """
    length, version = {"version": (0, 1), "length": (2**320 - 1, 0)}[damage]
    header, more = frames.header(frames.LIST, length, version), b"x" * 20_000
    with Script(run, "FRM-13") as script:
        script.open("A")
        peer = script.connections["A"].peer
        if sent == "at-once":
            script.octets("A", header + 3 * more)
        else:
            script.octets("A", header + b"x")
            peer.readable()
            for _ in range(3):
                peer.push(more)
        peer.end(run.patience.bound)
        run.check_witness()  # by now a reset behind the end has come, too
        end = peer.end(0)
        reply = script.any("A")
        script.connections["A"].ended = True
        if not end or reply is None or not is_error(reply):
            pytest.skip("the server does not close the connection after a reply")
        if end == "reset":
            script.fail("an end that leaves the reply to be read", "a reset")
