"""Names that are nearly somebody's: nobody's name, wherever one is asked for."""

from collections.abc import Callable

import pytest

from wirechat_conformance import frames, steps
from wirechat_conformance.frames import NO_NAMES
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

pytestmark = pytest.mark.beside(10)
AROUND = [
    *[b"%b ", b" %b", b"%bx", b"x%b", b"0%b", b"+%b", b"-%b", b"%b.", b"%b/", b"./%b"],
    *[b"%b%%", b'"%b"', b"'%b'", b"%b@host", b"@%b", b"#%b", b"\\%b", b"%b,x", b"%b;x"],
    *[b"%b:x", b"%b|x", b"x|%b", b"%b&x", b"%b=x", b"<%b>", b"(%b)", b"{%b}", b"%b{1}"],
    *[b"^%b", b"%b$", b"^%b$", b"%b+", b"%b\\", b"%b\\E", b"%b\\Ex", b"%b' --"],
    *[b"%b()", b"|%b", b"||%b", b"%b#x", b"%b//x", b"/%b/", b"%b{a..z}", b"%b%%20"],
]
"""Names in which a username stands with something around it."""
BARS = [b"%b|", b"%b||"]
"""What stands for something else in front of a delimiter, and alone for itself."""
CUT: list[Callable[[bytes], bytes]] = [
    *[lambda n: n[:-1], lambda n: n[1:], lambda n: n[:-1] + b"_", lambda n: n + n],
    *[lambda n: n[:3] + b"%", lambda n: n[:-1] + b".", lambda n: n[:3] + b".+"],
    *[lambda n: n.upper(), lambda n: n.title(), lambda n: n + n[-1:]],
    *[lambda n: n[::-1], lambda n: n[1:] + n[:1]],
    lambda n: n[4:5] + n[1:4] + n[:1] + n[5:],
    *[lambda n: b"%%%02x" % n[0] + n[1:], lambda n: n + b"x" * 256],
    lambda n: n[:-1] + b"{%b}" % n[-1:],
    lambda n: n[:-1] + b"{%b..z}" % n[-1:],
]
UNFIT = [
    *[b"%b\n", b"%b\r\n", b"\n%b", b"%b\t", b"%b\0", b"\0%b", b"%b\0x", b"%b\nx"],
    *[b"%b\r", b"%b\x7f", b"%bx\b", b"%b*", b"*%b", b"\x1b%b", b"%b\x0b", b"%b\x1a"],
]
"""What no username should hold (ACC-6), so that its frame may well be rejected."""
NOTHING = [
    *[b"", b"undefined", b"null", b"NULL", b"None", b"nil", b"(null)", b"0", b"-1"],
    *[b"false", b"NaN", b"NONE", b"anonymous", b"unknown", b"guest", b"server"],
]
"""What programs make of a username that isn't there."""
NUMBERS = [b"%d" % number for number in range(10)]
"""What a program may know accounts by besides their names."""
INHERITED = [b"__proto__", b"__defineGetter__", b"__class__", b"__init__", b"length"]
"""What the tables of some languages hold from the first."""

LENGTH = 12
"""Octets of a username with whose first eleven no other name of a run begins: so what a
program does with the beginning of a name shows, whoever else there is."""
REFUSALS = 1030
"""Error replies on one connection: more than an octet counts, more than a thousand."""
REFUSED = 20
"""Sessions that are refused: more than a program may have patience for."""
LOGINS = 260
"""Sessions of one account: more than an octet counts."""


def near(name: bytes) -> list[bytes]:
    """Return names that a program may take for this one."""
    others = [name[:at] + b"_" + name[at + 1 :] for at in range(len(name))]
    wrapped, cut = [wrap % name for wrap in AROUND], [change(name) for change in CUT]
    return [other for other in (*wrapped, *cut, *others) if other != name]


def nobody(run: Run, script: Script, names: list[bytes]) -> list[bytes]:
    """Return those of these names that no account has."""
    script.open("Asks")
    for name in names:
        script.send("Asks", frames.LIST, name)
    return [name for name in names if script.any("Asks") == NO_NAMES]


@pytest.mark.rules("ACC-9", "ACC-3")
def test_login_to_nearly_a_name(run: Run) -> None:
    """A username is its octets, all of them: LOGIN to another is to nobody."""
    with Script(run, "ACC-9") as script:
        name = script.account("A", LENGTH)
        script.leave("A")
        wrong = near(name) + nobody(run, script, INHERITED + NUMBERS)
        wrong += [bars % name for bars in BARS]
        script.open("B")
        script.errors("B", frames.LOGIN, [(other,) for other in wrong])
        for unfit in UNFIT:
            if not script.serves("C"):
                script.open("C")
            script.send("C", frames.LOGIN, unfit % name)
            script.perform(steps.ReceiveRejection("C", rules=script.rules))
            script.perform(steps.Fence("C", if_open=True, rules=script.rules))
        script.send("B", frames.LIST, name + b"*")
        script.listed("B", name)
        script.login("B", name)


@pytest.mark.examples
@pytest.mark.rules("ACC-9")
def test_login_again_and_again_to_nobody(run: Run) -> None:
    """However often there was an error reply, the connection is as usable as before."""
    with Script(run, "ACC-9") as script:
        script.open("A")
        script.errors("A", frames.LOGIN, [(run.names.fresh(),)] * REFUSALS)
        script.send("A", frames.CREATE, run.names.fresh())
        script.receive("A", frames.RESPONSE)


@pytest.mark.examples
@pytest.mark.rules("ACC-8", "ACC-13", "LST-2", "SND-1")
def test_login_again_and_again(run: Run) -> None:
    """However often there was a session, the next one is as good."""
    with Script(run, "ACC-8") as script:
        name = script.account("A")
        script.open("Refused")
        script.errors("Refused", frames.LOGIN, [(name,)] * REFUSED)
        script.leave("A")
        for number in range(4 if run.slow else LOGINS):
            connection = f"L{number}"
            script.open(connection)
            script.login(connection, name)
            script.leave(connection)
        script.open("B")
        script.rules = ("LST-2",)
        script.send("B", frames.LIST, name)
        script.listed("B", name)
        script.login("B", name)
        script.rules = ("SND-1",)
        script.send("B", frames.SEND, name, name, b"hi")
        script.receive("B", frames.SEND, name, name, b"hi")
        script.receive("B", frames.SEND, name, name, b"hi")
        script.rules = ("ACC-13",)
        script.delete("B")
        script.send("B", frames.LIST, name)
        script.listed("B")
        script.send("B", frames.CREATE, name)
        script.receive("B", frames.RESPONSE)


@pytest.mark.rules("LST-2", "LST-3")
def test_filters_of_nearly_a_name(run: Run) -> None:
    """A filter is its octets, all of them, but for the asterisk."""
    with Script(run, "LST-2") as script:
        name = script.account("A", LENGTH)
        wrong = near(name) + [unfit % name for unfit in UNFIT if b"*" not in unfit]
        for other in wrong:
            script.send("A", frames.LIST, other)
        for _ in wrong:
            script.listed("A")


@pytest.mark.rules("SND-6", "ACC-3")
def test_send_to_nearly_a_name(run: Run) -> None:
    """A recipient is its octets, all of them: another is nobody."""
    with Script(run, "SND-6") as script:
        sender, name = script.account("A"), script.account("B", LENGTH)
        wrong = near(name) + [unfit % name for unfit in UNFIT]
        wrong += nobody(run, script, INHERITED + NUMBERS)
        script.errors("A", frames.SEND, [(sender, other, b"hi") for other in wrong])
        script.fence("A", "B")
        script.send("A", frames.LIST, name + b"*")
        script.listed("A", name)


@pytest.mark.rules("SND-5", "ACC-3")
def test_send_in_nearly_ones_name(run: Run) -> None:
    """A sender is its octets, all of them: another is somebody else."""
    with Script(run, "SND-5") as script:
        name, recipient = script.account("A", LENGTH), script.account("B")
        wrong = near(name) + [unfit % name for unfit in UNFIT] + NOTHING + INHERITED
        script.errors("A", frames.SEND, [(other, recipient, b"hi") for other in wrong])
        script.fence("A", "B")


@pytest.mark.rules("SND-4")
@pytest.mark.parametrize("before", ["nothing", "a-session"])
def test_send_in_no_name(run: Run, before: str) -> None:
    """Where there is no session there is no name, and none stands for that."""
    with Script(run, "SND-4") as script:
        recipient = script.account("B")
        script.open("A")
        if before == "a-session":
            script.create("A", run.names.fresh())
            script.delete("A")
        words = [*NOTHING, *INHERITED, recipient]
        script.errors("A", frames.SEND, [(word, recipient, b"hi") for word in words])
        script.fence("A", "B")
