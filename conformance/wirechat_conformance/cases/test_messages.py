"""Messages that programs alter: of all lengths at which they err, of all texts."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from wirechat_conformance import frames
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

pytestmark = pytest.mark.beside(10)
POWERS = [1 << bit for bit in range(5, 17)]
ROUND = [100, 200, 500, 536, 1000, 1200, 1448, 1460, 1500, 2000, 4000, 5000, 10_000]
"""Sizes that people choose for buffers, or networks for segments."""
LONG = 8192
"""From here on only data and frames of such lengths are sent: that is much."""
MOST = 65_536
"""Data octets that no server may refuse (FRM-6)."""
NAMES = 20
"""Octets of data in front of a message: two usernames of a run, two separators."""
FILLER = bytes(range(32, 127)) * (1 + MOST // 95)
"""What messages are cut from: an octet that is lost or doubled shows."""
AT_ONCE = 60_000
"""Octets that are sent before their replies are read."""
LEAST = 1000 * (100 - NAMES)
"""Octets of messages for which there is room at least (LIM-3)."""
NUMBERS = [16, 32, 64, 128, 256, 257]
"""Messages of which a program may lose count."""
WORDS = [
    *[
        b"quit",
        b"exit",
        b"QUIT",
        b"/quit",
        b"!x",
        b":q",
        b"@all",
        b"#x",
        b"//x",
        b"--x",
    ],
    *[b"EOF", b".", b"..", b"-", b"~", b">From x", b"&lt;", b"%41", b"=41", b"\\x41"],
    *[b"yes", b"no", b"true", b"undefined", b"nil", b"NULL", b"(null)", b"[]", b"{}"],
    *[
        b"007",
        b"0x10",
        b"1e3",
        b"1.0",
        b"+1",
        b"-0",
        b"9007199254740993",
        b"$x",
        b"<!--",
    ],
    *[
        b"a  b",
        b"a\r\nb\nc\rd",
        b"\r\n\r\n",
        b"\n.\n",
        b"\\",
        b"\\\\",
        b'"',
        b"x" * 1000,
    ],
]
WORDS += [
    *[
        b"ping",
        b"\x01VERSION\x01",
        b"\x1b[1;31mred\x1b[0m",
        b"<b>x</b>",
        b"{{x}}",
        b"{0}",
    ],
    *[
        b"&#65;",
        b"&amp;",
        b"\\u0041",
        b"${USER}",
        b"%PATH%",
        b"https://x/?y=1",
        b"+AGE-",
    ],
    *[b"=\r\nx", b"x\r\n.\r\ny", b"From x\nFrom y", b"=?utf-8?q?x?=", b"[b]x[/b]"],
]
"""What means something elsewhere."""


FRAMES = [frames.header(command, size) for command in range(8) for size in (0, 7)]
"""Messages that look like frames, whole ones and others."""


def lengths() -> list[bytes]:
    """Return messages of short lengths, and of all that are next to a power of two.

    So long are they themselves, their data, or their frames.
    """
    before = 0, NAMES, NAMES + frames.HEADER_SIZE
    near = {
        power + by - part
        for power in POWERS
        for part in before
        for by in (-1, 0, 1)
        if power < LONG or part == NAMES or (part and not by)
    } | {size - part for size in ROUND for part in before}
    all_lengths = sorted({*near, *range(130)})
    return [FILLER[:length] for length in all_lengths if 0 <= length <= MOST - NAMES]


def texts() -> list[bytes]:
    """Return messages with each octet at each end, in a row, and behind each other."""
    octets = [bytes([octet]) for octet in range(128)]
    ends = [octet + b"x" + octet for octet in octets]
    rows = [octet * 4 for octet in octets if octet != b"|"]
    pairs = [a + b for a in octets for b in octets if not a == b == b"|"]
    return [*octets, *ends, *rows, *WORDS, *FRAMES, b"".join(pairs)]


KINDS: Mapping[str, tuple[Callable[[], list[bytes]], tuple[str, ...], str]] = {
    "of-all-lengths": (lengths, ("SND-9",), "FRM-6"),
    "of-all-texts": (texts, ("SND-8", "SND-9"), "SND-8"),
}
"""Messages, the rules that are broken where they do not come back as they are, and the
one where they are refused."""


def batches(messages: list[bytes]) -> Iterator[list[bytes]]:
    """Give as many at a time as may be sent ahead of their replies.

    A frame of as many octets as there may be in a buffer goes alone: behind it comes
    nothing that would show it to a server that waits for more.
    """
    batch: list[bytes] = []
    room = AT_ONCE
    for message in messages:
        size = frames.HEADER_SIZE + NAMES + len(message)
        alone = size in POWERS
        if batch and (alone or size > room):
            yield batch
            batch, room = [], AT_ONCE
        batch.append(message)
        room -= AT_ONCE if alone else size
    yield batch


@pytest.mark.examples
@pytest.mark.rules("SND-9", "SND-8", "SND-2", "FRM-3", "FRM-6")
@pytest.mark.parametrize("kind", KINDS)
def test_live_messages(run: Run, kind: str) -> None:
    """Whatever a message is, it is passed on whole, and its echo is whole."""
    messages, at_stake, refusal = KINDS[kind]
    with Script(run) as script:
        sender, recipient = script.account("A"), script.account("B")
        for batch in batches(messages()):
            for text in batch:
                script.send("A", frames.SEND, sender, recipient, text)
            for connection, rule in (("A", "SND-2"), ("B", "SND-1")):
                for text in batch:
                    came = comes(script, connection, rule, "FRM-3")
                    refused = came is None
                    script.rules = (refusal,) if refused else (*at_stake, rule)
                    script.receive(connection, frames.SEND, sender, recipient, text)


@pytest.mark.examples
@pytest.mark.rules("SND-9", "SND-8", "SND-2", "DLV-1", "SND-12", "FRM-6", "LIM-3")
@pytest.mark.parametrize("kind", KINDS)
def test_kept_messages(run: Run, kind: str) -> None:
    """Whatever a message is, it is kept whole, if there is room for so much."""
    messages, at_stake, refusal = KINDS[kind]
    with Script(run) as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        kept: list[bytes] = []
        for batch in batches(messages()):
            for text in batch:
                script.send("A", frames.SEND, sender, recipient, text)
            for text in batch:
                if comes(script, "A", "SND-2", "FRM-3") is None:
                    script.rules = (refusal, "LIM-3")
                    told(script, [*kept, text])
                    continue
                script.rules = (*at_stake, "SND-2")
                script.receive("A", frames.SEND, sender, recipient, text)
                kept.append(text)
        script.open("C")
        script.login("C", recipient)
        script.send("C", frames.DELIVER)
        for text in kept:
            came = comes(script, "C", "DLV-1", "SND-12")
            another = came != text and came in kept
            script.rules = ("DLV-1", "SND-12") if another else at_stake
            script.receive("C", frames.SEND, sender, recipient, text)
        script.rules = "DLV-1", "SND-12"
        script.send("C", frames.DELIVER)
        script.fence("C")


@pytest.mark.examples
@pytest.mark.rules("DLV-1", "DLV-2", "SND-12")
def test_numbers_of_kept_messages(run: Run) -> None:
    """However many messages are kept, all are delivered, and then there are none."""
    with Script(run, "DLV-1", "SND-12") as script:
        sender, recipient = script.account("A"), script.account("B")
        script.leave("B")
        for count in NUMBERS:
            texts = [b"%d of %d" % (number, count) for number in range(count)]
            for text in texts:
                script.send("A", frames.SEND, sender, recipient, text)
            for text in texts:
                script.receive("A", frames.SEND, sender, recipient, text)
            connection = f"C{count}"
            script.open(connection)
            script.login(connection, recipient)
            script.send(connection, frames.DELIVER)
            for text in texts:
                script.receive(connection, frames.SEND, sender, recipient, text)
            script.send(connection, frames.DELIVER)
            script.fence(connection)
            script.leave(connection)


def comes(script: Script, connection: str, *rules: str) -> bytes | None:
    """Return the text of the message that comes next, None where it is something else.

    Where nothing comes these rules are broken.
    """
    script.rules = rules
    frame = script.coming(connection)
    if frame is None or frame.command != frames.SEND:
        return None
    return frames.SEPARATOR.join(frame.fields[2:])


def told(script: Script, messages: list[bytes]) -> None:
    """See that the last of these messages was refused, and for want of room.

    A thousand of a hundred octets are never too many: these are fewer, but longer.
    """
    if sum(map(len, messages)) < LEAST:
        script.fail("the echo of a message that is kept", script.any("A"))
    script.error("A")
