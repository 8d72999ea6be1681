"""Accounts: what a server may choose, and requests that race."""

import secrets
import string
from collections.abc import Mapping

import pytest

from wirechat_conformance import frames, steps, sweep
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import NO_NAMES, SUCCESS
from wirechat_conformance.judge import is_error
from wirechat_conformance.run import Run
from wirechat_conformance.script import Script

pytestmark = pytest.mark.beside(10)
ROUNDS = 12
"""Rounds of each race: enough for a gap of a millisecond to be hit for sure."""
RACERS = 8
"""Connections that race."""
ASKED = 20
"""Times that something is asked for while the end of a connection is on its way."""

ODD = {
    "a-space": b"a b",
    "a-space-behind": b"a ",
    "a-dash": b"a-b",
    "a-dot": b"a.b",
    "a-dot-in-front": b".",
    "an-underscore": b"a_b",
    "a-slash": b"a/b",
    "a-quote": b"a'b",
    "a-double-quote": b'a"b',
    "a-backslash": b"a\\b",
    "a-bar": b"a|b",
    "percent-signs": b"a%s%n",
    "braces": b"a{0}{x}",
    "a-dollar-sign": b"a$1",
    "33-characters": b"x" * 26,
    "65-characters": b"x" * 58,
    "256-characters": b"x" * 249,
    "300-characters": b"x" * 293,
}
"""What usernames may have, at their end or in front, besides letters and digits."""
LIFE = "SND-1", "SND-2", "SND-3", "ACC-2", "ACC-8", "ACC-13", "DLV-1"
"""The rules by which an account lives."""
PROPERTY = b"__proto__"
"""A name that JavaScript's objects take, and neither list nor give back."""


LETTERS_AND_DIGITS = {
    "small-letters-to-y": string.ascii_lowercase[:25].encode(),
    "capitals-to-y": string.ascii_uppercase[:25].encode(),
    "digits-and-z": b"zZ" + string.digits.encode(),
}
"""All that ACC-4 names, with no more than 32 characters to a username."""


@pytest.mark.rules("ACC-4", "LST-2", *LIFE)
@pytest.mark.parametrize("kind", ODD)
def test_other_username(run: Run, kind: str) -> None:
    """A username of another kind is taken as it is, or gets an error reply."""
    with Script(run, "ACC-4") as script:
        script.open("A")
        name, odd = run.names.fresh(), ODD[kind]
        taken = taken_whole(script, odd + name if "front" in kind else name + odd)
        run.chose(f"username with {kind}", "taken" if taken else "refused")


@pytest.mark.rules("ACC-4", "LST-2", "SND-6", *LIFE)
def test_property_as_username(run: Run) -> None:
    """What each JavaScript object holds from the first is taken whole, or refused."""
    with Script(run, "ACC-4") as script:
        script.open("A")
        leave_out_where_taken(script, PROPERTY)
        sender = script.account("B")
        script.send("B", frames.SEND, sender, PROPERTY, b"hi")
        script.error("B", "SND-6")
        taken_whole(script, PROPERTY)


def leave_out_where_taken(script: Script, name: bytes) -> None:
    """Leave a case out where somebody else has a username that it needs."""
    script.send("A", frames.LIST, name)
    if script.any("A") != NO_NAMES:
        pytest.skip(f"somebody has the username {name.decode()!r}")


def taken_whole(script: Script, name: bytes) -> bool:
    """See that a username is refused, or else is listed, and written to, as it is."""
    taken = asked_for(script, name)
    script.send("A", frames.LIST, name)
    script.listed("A", *[name] * taken)
    if taken:
        script.rules = ("LST-2",)
        script.send("A", frames.LIST, b"*" + name[1:7] + b"*")
        script.listed("A", name, others=True)
        life(script, "A", name)
    return taken


def life(script: Script, connection: str, name: bytes) -> None:
    """See that an account is like any other: it writes, leaves, and finds all again.

    It is deleted, in any case: the next try would find its name taken.
    """
    try:
        live(script, connection, name)
    except Failure:
        script.connections[connection].peer.close()
        sweep.desert(script.run.connect, [name])
        raise


def live(script: Script, connection: str, name: bytes) -> None:
    """Have an account write, leave, and enter again, and be deleted."""
    friend = script.account("Friend")
    script.rules = "ACC-4", "SND-2"
    script.send(connection, frames.SEND, name, friend, b"hi")
    script.receive(connection, frames.SEND, name, friend, b"hi")
    script.receive("Friend", frames.SEND, name, friend, b"hi")
    script.rules = "ACC-4", "SND-1"
    script.send("Friend", frames.SEND, friend, name, b"hi")
    script.receive("Friend", frames.SEND, friend, name, b"hi")
    script.receive(connection, frames.SEND, friend, name, b"hi")
    script.leave(connection)
    script.rules = "ACC-4", "SND-3"
    script.send("Friend", frames.SEND, friend, name, b"kept")
    script.receive("Friend", frames.SEND, friend, name, b"kept")
    script.open("Again")
    script.send("Again", frames.CREATE, name)
    script.error("Again", "ACC-4", "ACC-2")
    script.rules = "ACC-4", "ACC-8"
    script.perform(steps.Repeat("Again", frames.LOGIN, (name,)))
    script.receive("Again", frames.RESPONSE)
    script.rules = "ACC-4", "SND-3", "DLV-1"
    script.send("Again", frames.DELIVER)
    script.receive("Again", frames.SEND, friend, name, b"kept")
    script.rules = "ACC-4", "ACC-13"
    script.delete("Again")
    script.send("Again", frames.LIST, name)
    script.listed("Again")


@pytest.mark.rules("ACC-4")
@pytest.mark.parametrize("kind", LETTERS_AND_DIGITS)
def test_username_of_all(run: Run, kind: str) -> None:
    """Every letter and every digit may be in a username."""
    with Script(run, "ACC-4") as script:
        name = run.names.fresh() + LETTERS_AND_DIGITS[kind]
        script.open("A")
        script.send("A", frames.CREATE, name)
        script.receive("A", frames.RESPONSE)
        script.send("A", frames.LIST, name)
        script.listed("A", name)


@pytest.mark.rules("FRM-6", "ACC-4")
def test_username_of_65536_octets(run: Run) -> None:
    """A username that fills a frame is no reason to reject that frame."""
    with Script(run, "FRM-6", "ACC-4") as script:
        script.open("A")
        if asked_for(script, run.names.fresh(65536)):
            script.delete("A")
        script.fence("A")


def asked_for(script: Script, name: bytes) -> bool:
    """Ask for an account that a server may refuse; return whether it is there."""
    script.send("A", frames.CREATE, name)
    if script.coming("A") != SUCCESS:
        script.error("A")
        return False
    script.any("A")
    return True


WORDS = ["constructor", "toString", "valueOf", "hasOwnProperty", "null", "undefined"]
WORDS += ["true", "None", "nil", "NaN", "0", "admin", "root", "server", "all", "self"]
"""Usernames that mean something elsewhere: in languages, to their hash tables."""


@pytest.mark.rules("ACC-4", "ACC-9", "SND-6", *LIFE)
@pytest.mark.parametrize("word", WORDS)
def test_word_as_username(run: Run, word: str) -> None:
    """A word that means something elsewhere is a username like any other."""
    name = word.encode()
    with Script(run, "ACC-4") as script:
        sender = script.account("A")
        leave_out_where_taken(script, name)
        script.open("B")
        script.send("B", frames.LOGIN, name)
        script.error("B", "ACC-9")
        script.perform(steps.Fence("B"))
        script.send("A", frames.SEND, sender, name, b"hi")
        script.error("A", "SND-6")
        script.perform(steps.Fence("A"))
        script.send("B", frames.CREATE, name)
        script.receive("B", frames.RESPONSE)
        script.send("A", frames.SEND, sender, name, b"hi")
        script.receive("A", frames.SEND, sender, name, b"hi")
        script.receive("B", frames.SEND, sender, name, b"hi")
        script.send("B", frames.LIST, name)
        script.listed("B", name)
        life(script, "B", name)


MORE_WORDS = "yes no on off y n false inf con nul aux prn com1 lpt1 me you nobody guest"
MORE_WORDS += " anonymous system everyone broadcast create list send deliver delete"
MORE_WORDS += " login logout response listresponse quit exit help who nick join select"
MORE_WORDS += " drop default new class this function in is and or not user Admin ROOT"
SESSIONS = 260
"""Sessions of one connection: more than an octet counts."""


@pytest.mark.examples
@pytest.mark.rules("ACC-4", "ACC-1", "ACC-13")
def test_many_accounts_of_a_connection(run: Run) -> None:
    """One account after another is made on a connection, of many words among others."""
    words = MORE_WORDS.encode().split()
    with Script(run) as script:
        script.open("A", "Asks")
        for word in words:
            script.send("Asks", frames.LIST, word)
        free = [word for word in words if script.any("Asks") == NO_NAMES]
        names = [*free, *(run.names.fresh() for _ in range(SESSIONS - len(free)))]
        for name in names[: run.pace.part(SESSIONS)]:
            script.rules = "ACC-4", "ACC-1"
            script.send("A", frames.CREATE, name)
            script.receive("A", frames.RESPONSE)
            script.rules = "ACC-13", "ACC-1"
            script.delete("A")


@pytest.mark.rules("ACC-4", "SND-5", "LST-2")
def test_usernames_like_numbers(run: Run) -> None:
    """Usernames of digits are no numbers: all digits count, zeros in front as well."""
    with Script(run, "ACC-4") as script:
        number = b"".join(b"%d" % secrets.randbelow(10) for _ in range(18))
        names = {"A": b"1" + number + b"1", "B": b"1" + number + b"2"}
        names["C"] = b"0" + names["A"]
        names |= {"D": b"1" + number[:9] + b"000", "E": b"1" + number[:9] + b"e3"}
        names["F"] = b"0x%x" % int(names["D"])
        script.open(*names)
        for connection, name in names.items():
            script.send(connection, frames.CREATE, name)
            script.receive(connection, frames.RESPONSE)
        for connection, name in names.items():
            script.send(connection, frames.LIST, name)
            script.listed(connection, name)
        script.send("A", frames.SEND, names["B"], names["C"], b"hi")
        script.error("A", "SND-5")
        script.send("A", frames.SEND, names["A"], names["B"], b"hi")
        script.receive("A", frames.SEND, names["A"], names["B"], b"hi")
        script.receive("B", frames.SEND, names["A"], names["B"], b"hi")
        script.fence("C")
        for connection in names:
            script.delete(connection)


REFUSED: Mapping[str, tuple[str, bool, int, tuple[str, ...]]] = {
    "create-of-one-that-exists": ("ACC-2", False, frames.CREATE, ("a",)),
    "create-of-one-offline": ("ACC-2", False, frames.CREATE, ("b",)),
    "login-to-nobody": ("ACC-9", False, frames.LOGIN, ("nobody",)),
    "login-to-one-online": ("ACC-10", False, frames.LOGIN, ("a",)),
    "send-before-login": ("SND-4", False, frames.SEND, ("b", "a", "no")),
    "deliver-before-login": ("DLV-3", False, frames.DELIVER, ()),
    "delete-before-login": ("ACC-15", False, frames.DELETE, ()),
    "create-in-session": ("ACC-7", True, frames.CREATE, ("nobody",)),
    "login-in-session": ("ACC-11", True, frames.LOGIN, ("a",)),
    "send-as-another": ("SND-5", True, frames.SEND, ("a", "a", "no")),
    "send-to-nobody": ("SND-6", True, frames.SEND, ("b", "nobody", "no")),
}
"""The rule of a refusal, whether it is in a session, and the request."""


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.rules(REFUSED[k][0])) for k in REFUSED]
)
def test_one_refusal(run: Run, kind: str) -> None:
    """Whatever is refused once, everything is then as it would be without."""
    rule, in_session, command, fields = REFUSED[kind]
    with Script(run, rule) as script:
        a, b = script.account("A"), script.account("B")
        names = {"a": a, "b": b, "nobody": run.names.fresh()}
        script.leave("B")
        script.send("A", frames.SEND, a, b, b"kept")
        script.receive("A", frames.SEND, a, b, b"kept")
        request = [names.get(field, field.encode()) for field in fields]
        script.open("C")
        if in_session:
            script.login("C", b)
        else:
            script.open("X")
            script.send("X", command, *request)
            script.error("X")
            script.leave("X")
        script.send("C", command, *request)
        script.error("C")
        if not in_session:
            script.perform(steps.Repeat("C", frames.LOGIN, (b,)))
            script.receive("C", frames.RESPONSE)
        script.send("C", frames.DELIVER)
        script.receive("C", frames.SEND, a, b, b"kept")
        for sender, recipient, own, other in ((a, b, "A", "C"), (b, a, "C", "A")):
            script.send(own, frames.SEND, sender, recipient, b"live")
            script.receive(own, frames.SEND, sender, recipient, b"live")
            script.receive(other, frames.SEND, sender, recipient, b"live")
        script.send("A", frames.LIST, b)
        script.listed("A", b)
        script.delete("C")
        script.send("C", frames.CREATE, b)
        script.receive("C", frames.RESPONSE)
        script.leave("C")
        script.open("D", "E")
        script.perform(steps.Repeat("D", frames.LOGIN, (b,)))
        script.receive("D", frames.RESPONSE)
        script.send("A", frames.SEND, a, b, b"live")
        script.receive("A", frames.SEND, a, b, b"live")
        script.receive("D", frames.SEND, a, b, b"live")
        script.send("E", frames.CREATE, names["nobody"])
        script.receive("E", frames.RESPONSE)


@pytest.mark.rules("ACC-10", "SND-1")
def test_session_behind_one_that_was_cut_off(run: Run) -> None:
    """The end of an old connection, when it comes, does not end the new session."""
    with Script(run, "ACC-10", "SND-1") as script:
        name = script.account("A")
        script.octets("A", frames.header(frames.LIST, 0, frames.WRONG))
        if not script.connections["A"].peer.end(run.patience.bound):
            pytest.skip("the server does not close the connection after a rejection")
        script.open("B", "C")
        if not script.enters("B", name):
            pytest.skip("the session lasts until the client has closed, too")
        script.perform(steps.Close("A"))
        # Somewhere among these the server sees that the client has closed, too.
        for _ in range(run.pace.part(ASKED)):
            run.check_witness()
            script.send("C", frames.LOGIN, name)
            script.error("C")
        script.send("B", frames.SEND, name, name, b"hi")
        script.receive("B", frames.SEND, name, name, b"hi")
        script.receive("B", frames.SEND, name, name, b"hi")


@pytest.mark.rules("ACC-2", "ACC-8", "ACC-10", "SND-1", "SND-2")
def test_first_accounts(run: Run) -> None:
    """The accounts that were made first, number 0 to many programs, are like others."""
    if not run.bystanders.first:
        pytest.skip("none could be made")
    for first in run.bystanders.first:
        with Script(run, "SND-1", "SND-2") as script:
            other = script.account("A")
            script.open("B", "C")
            try:
                script.send("B", frames.CREATE, first)
                script.error("B", "ACC-2")
                script.login("B", first)
                script.send("C", frames.LOGIN, first)
                script.error("C", "ACC-10")
                for own, its, names in (
                    ("A", "B", (other, first)),
                    ("B", "A", (first, other)),
                ):
                    script.send(own, frames.SEND, *names, b"hi")
                    script.receive(own, frames.SEND, *names, b"hi")
                    script.receive(its, frames.SEND, *names, b"hi")
                script.fence("B")
            finally:  # nor is it deleted
                script.connections.pop("B").peer.close()


@pytest.mark.races
@pytest.mark.rules("ACC-17")
def test_create_race(run: Run) -> None:
    """Of several CREATEs of one username at the same time exactly one succeeds."""
    racers = [f"R{number}" for number in range(RACERS)]
    for _ in range(ROUNDS):
        with Script(run, "ACC-17") as script:
            script.open(*racers)
            race(script, racers, frames.CREATE, run.names.fresh())


@pytest.mark.examples
@pytest.mark.races
@pytest.mark.rules("ACC-17")
def test_login_race(run: Run) -> None:
    """Of several LOGINs to one account at the same time exactly one succeeds."""
    racers = [f"R{number}" for number in range(RACERS)]
    for _ in range(ROUNDS):
        with Script(run, "ACC-17") as script:
            name = script.account("A")
            script.leave("A")
            script.open(*racers)
            race(script, racers, frames.LOGIN, name)


def race(script: Script, racers: list[str], command: int, name: bytes) -> None:
    """See that one of these requests succeeds, and that the others are refused."""
    for racer in racers:
        script.send(racer, command, name)
    replies = {racer: script.any(racer) for racer in racers}
    for reply in replies.values():
        if reply != SUCCESS and (reply is None or not is_error(reply)):
            script.fail("an empty RESPONSE, or an error reply", reply)
    winners = [racer for racer, reply in replies.items() if reply == SUCCESS]
    if len(winners) != 1:
        script.fail("one of them to succeed", f"{len(winners)} did")
    script.fence(*racers)
    script.send(winners[0], frames.SEND, name, name, b"hi")
    script.receive(winners[0], frames.SEND, name, name, b"hi")
    script.receive(winners[0], frames.SEND, name, name, b"hi")
    script.delete(winners[0])
