"""What the cases say of servers that are wrong, or right in a way of their own.

Each case is called as pytest would call it, with a run against a server in this
process.
"""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from tests import odd_servers
from tests.faults import FAULTS
from tests.judged import judging
from tests.parts import Part, Server, assemble, dashed
from tests.variants import VARIANTS
from wirechat.client import Client
from wirechat_conformance import steps
from wirechat_conformance.cases import (
    test_acc,
    test_deliver,
    test_ends,
    test_frm,
    test_lim,
    test_lst,
    test_messages,
    test_races,
    test_snd,
    test_stream,
)
from wirechat_conformance.failure import Failure
from wirechat_conformance.pace import Pace
from wirechat_conformance.script import Script

pytestmark = pytest.mark.whole

BOUND = 2.0
"""Seconds to wait for what is not to come."""
PARTS: dict[str, Part] = {
    **{variant.id: variant.part for variant in VARIANTS.values()},
    **{fault.id: fault.part for fault in FAULTS.values()},
}


@pytest.fixture(autouse=True)
def _whole_again() -> Iterator[None]:
    """Take back what was replaced to assemble a server."""
    yield
    patch.stopall()


def part(server: str | Part) -> Part:
    """Return the part of a server that has a name, or is the part itself."""
    return PARTS[server] if isinstance(server, str) else server


def row(
    case: Callable[..., None], server: str | Part, *expected: Any, **arguments: Any
) -> Any:
    """Return a row of a table: a case on a server, and what comes of it."""
    name = server if isinstance(server, str) else dashed(server.__name__)
    # Sets are left out: their order is another in each process of a parallel run.
    told = [str(v) for v in arguments.values() if not isinstance(v, set)]
    written = [case.__name__.removeprefix("test_"), *told]
    return pytest.param(
        case, server, arguments, *expected, id=f"{' '.join(written)} on {name}"
    )


def failure_of(
    case: Callable[..., None], server: str | Part, **arguments: Any
) -> Failure:
    """Return how a case fails on a server with one part replaced."""
    with (
        judging(assemble(part(server), 0), examples=6, seed=1, timeout=BOUND) as run,
        pytest.raises(Failure) as failed,
    ):
        case(run, **arguments)
    return failed.value


MUCH = test_deliver.test_end_behind_much_to_deliver
WRONG = [
    # A case, a server, the rules that it breaks, what is told; the case's arguments.
    row(
        test_acc.test_create_race,
        "creates-race",
        ["ACC-17"],
        "expected one of them to succeed; got ",
    ),
    row(
        test_acc.test_create_race,
        odd_servers.TakenAnsweredOddly,
        ["ACC-17"],
        'expected an empty RESPONSE, or an error reply; got LISTRESPONSE 3 "odd"',
    ),
    row(
        test_stream.test_a_thousand_messages_ahead_of_their_echoes,
        "kept100",
        ["LIM-3"],
        "got RESPONSE 43",
    ),
    row(
        test_stream.test_a_thousand_messages_ahead_of_their_echoes,
        "ten-a-deliver",
        ["LIM-3", "SND-12", "DLV-1"],
        "expected 2200 kept messages; got 10 of them",
    ),
    row(
        test_stream.test_a_thousand_messages_ahead_of_their_echoes,
        "newest-first",
        ["DLV-1", "SND-11"],
        "expected the messages as they were sent, oldest first; got others",
    ),
    row(
        test_stream.test_a_thousand_messages_ahead_of_their_echoes,
        "delivered-as-deliver",
        ["FRM-4"],
        "expected a frame, or the end; got no frame",
    ),
    row(
        test_frm.test_every_octet_of_a_length,
        "length-of32-bits",
        ["FRM-7"],
        "expected no reply to data that never comes; got RESPONSE 0",
    ),
    row(
        test_frm.test_lengths_that_look_like_none,
        "length-of32-bits",
        ["FRM-7"],
        "expected no reply to 4294967296 octets that never come; got LISTRESPONSE",
        command="LIST",
    ),
    row(
        test_stream.test_reply_can_be_read_before_a_reset,
        "closes-with-reset",
        ["FRM-13"],
        "expected an end that leaves the reply to be read; got a reset",
        damage="length",
        sent="at-once",
    ),
    row(
        test_lim.a_hundred,
        "live-to-sender",
        ["LIM-1"],
        'pass it on" and SEND 30',
    ),
    row(
        test_lim.test_a_thousand_accounts,
        "accounts256",
        ["LIM-3", "LST-1"],
        "expected a thousand accounts; got an error reply",
    ),
    row(
        test_lst.test_shell_wildcard,
        odd_servers.ShellFiltersRefused,
        ["LST-2"],
        'expected a LISTRESPONSE; got RESPONSE 2 "no"',
        wildcard=b"?",
        shell={b"a", b"b", b"d"},
    ),
    row(
        test_lst.test_shell_wildcard,
        "matches-regular-expression",
        ["LST-2"],
        "expected nobody, or those that a shell would match; got LISTRESPONSE 7",
        wildcard=b"?",
        shell={b"a", b"b", b"d"},
    ),
    row(
        test_messages.test_kept_messages,
        "kept100",
        ["SND-8", "LIM-3"],
        "expected the echo of a message that is kept; got RESPONSE 43",
        kind="of-all-texts",
    ),
    row(
        test_races.test_race,
        odd_servers.MessageBeforeLogin,
        ["SND-1"],
        'expected nothing before the RESPONSE that starts a session; got SEND 13 "a|||',
        race="login",
    ),
    row(
        test_races.test_race,
        odd_servers.ThreeInReverse,
        ["SND-12"],
        "expected each sender's messages in order; got [b'02', b'01', b'00']",
        race="deliver",
    ),
    row(
        test_races.test_race,
        "live-kept-too",
        ["SND-12"],
        "expected an order of the requests that explains all replies; got none",
        race="deliver",
    ),
    row(
        test_races.test_race,
        odd_servers.EndsAtDeliver,
        ["SND-12"],
        "expected replies; got closed",
        race="deliver",
    ),
    row(
        test_races.test_race,
        odd_servers.DeletesAtTheSecondTry,
        ["SND-12"],
        "expected an order of the requests that explains all replies; got none",
        race="all",
    ),
    row(
        test_races.test_end_under_fire,
        "last-kept-at-the-end",
        ["SND-12"],
        "expected each message once, and in order; got [",
        end=steps.HalfClose,
    ),
    row(
        test_snd.test_two_senders_at_once,
        "text-of1024",
        ["SND-9"],
        "expected the next message of one of its senders; got SEND 1044",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        "live-kept-too",
        ["SND-12"],
        "expected every message once; got some came twice",
        much="much",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        "newest-first",
        ["SND-12"],
        "expected the messages in their order; got another order",
        much="much",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        "each-fiftieth-lost",
        ["SND-12"],
        "expected all 2336 messages; got ",
        much="much",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        "sent-once-behind",
        ["SND-1"],
        "expected a frame, or the end; got nothing within 2 s",
        much="some",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        odd_servers.TwiceAfterwards,
        ["SND-1"],
        "expected the messages in their order; got another order",
        much="some",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        "octet-lost-in-the-queue",
        ["SND-12"],
        "expected a frame, or the end; got no frame",
        much="some",
    ),
    row(
        test_snd.test_sender_that_does_not_read,
        "unread-echoes-kept",
        ["SND-12"],
        "expected every message once; got some came twice",
    ),
    row(
        test_deliver.test_reset_amid_what_is_delivered,
        "kept-until-all-is-sent",
        ["SND-12"],
        "expected every message once; got some came twice",
    ),
    row(
        MUCH,
        "kept-one-mi-b",
        ["SND-12", "DLV-1"],
        "expected 80 kept messages, once; got ",
    ),
    row(
        MUCH,
        "rejection-drops-what-waits",
        ["FRM-11"],
        "expected 80 kept messages and a list; got ",
    ),
    row(
        test_races.test_bursts,
        "each-fiftieth-lost",
        ["SND-12"],
        "expected each of 300 messages once; got 29",
        recipient_is="online",
    ),
    row(
        test_races.test_bursts,
        "newest-first",
        ["SND-11"],
        "expected each sender's messages in order; got ",
        recipient_is="offline",
    ),
    row(
        test_races.test_row,
        "delete-without-session-silent",
        ["ACC-17"],
        " error replies without a session; got ",
        command="LOGIN",
    ),
    row(
        test_races.test_row,
        "oneself-gets-one-copy",
        ["ACC-17"],
        "expected own messages alone, each twice; got ",
        command="CREATE",
    ),
    row(
        test_snd.test_two_senders_at_once,
        "each-fiftieth-lost",
        ["SND-11", "SND-12"],
        "expected the next message of one of its senders; got SEND",
    ),
    row(
        test_acc.test_word_as_username,
        "sessions-in-an-object",
        ["ACC-4", "ACC-8"],
        "expected Again < RESPONSE 0; got RESPONSE",
        word="constructor",
    ),
    row(
        test_acc.test_session_behind_one_that_was_cut_off,
        odd_servers.LoginUnanswered,
        ["ACC-10", "SND-1"],
        "expected a reply to LOGIN; got nothing within ",
    ),
    row(
        test_ends.test_written_to_behind_each_end,
        "over-the-limit-forgets-kept",
        ["ACC-12", "SND-12"],
        "expected the message from before the end of the session; got SEND",
    ),
    row(
        test_frm.test_every_power_of_two,
        "over-the-limit-in-silence",
        ["FRM-8"],
        "expected an error reply to 2^21 octets; got closed",
    ),
    row(
        test_lim.a_hundred,
        odd_servers.KeptTwice,
        ["DLV-1", "SND-3"],
        "expected a message of each of 92; got 46",
    ),
    row(
        MUCH,
        odd_servers.EchoNotQueued,
        ["SND-2", "SND-7"],
        "expected a message to oneself, and its echo; got 0",
    ),
    row(
        MUCH,
        "errors-not-queued",
        ["FRM-4", "SND-5"],
        "expected an error reply; got 0 of them",
    ),
    row(
        MUCH,
        "delivered-again-while-unread",
        ["SND-12", "DLV-1"],
        "expected 80 kept messages, once; got ",
    ),
    row(
        MUCH,
        "errors-ahead-of-what-waits",
        ["FRM-4"],
        "expected an error reply behind what DELIVER brings; got one amid that",
    ),
    row(
        MUCH,
        "deleted-takes-along-what-waits",
        ["SND-12", "SND-9"],
        "expected 5 live messages; got 4 of them",
    ),
    row(
        MUCH,
        "live-ahead-of-half-a-reply",
        ["SND-12", "SND-9"],
        "expected a frame, or the end; got no frame",
    ),
    row(
        test_frm.test_octets_between_frames,
        "line-ends-skipped",
        ["FRM-2"],
        "expected a rejection; got RESPONSE 0",
    ),
    row(
        test_snd.test_recipient_that_does_not_read,
        "paused-for-good",
        ["FRM-4"],
        "got nothing within ",
        much="some",
    ),
    row(
        test_frm.test_live_message_amid_a_malformed_frame,
        odd_servers.SkipsNothing,
        ["FRM-12", "FRM-5"],
        "expected A < LISTRESPONSE of ",
    ),
    row(
        test_frm.test_live_message_amid_a_malformed_frame,
        odd_servers.MalformedToldTwice,
        ["FRM-12", "FRM-5"],
        "expected a message, an error reply, and a list; got [2, 6, 6]",
    ),
    row(
        test_deliver.test_reset_amid_live_messages,
        "unsent-comes-back-behind",
        ["SND-11", "SND-12"],
        "expected what is left, once, in order, and the last; got ",
        deleted=False,
    ),
    row(
        test_deliver.test_reset_amid_live_messages,
        "unsent-comes-back-by-name",
        ["ACC-16"],
        "expected nothing that was for another account; got ",
        deleted=True,
    ),
    row(
        test_acc.test_property_as_username,
        odd_servers.PropertyAnsweredOddly,
        ["ACC-4"],
        "expected A < error; got LISTRESPONSE",
    ),
]


@pytest.mark.parametrize(("case", "server", "arguments", "rules", "told"), WRONG)
def test_what_is_said_of_a_server_that_is_wrong(
    case: Callable[..., None],
    arguments: dict[str, Any],
    server: str | Part,
    rules: list[str],
    told: str,
) -> None:
    failure = failure_of(case, server, **arguments)
    assert list(failure.rules) == rules
    assert told in str(failure)


RIGHT = [
    # A case, a server, what it makes of free choices; the case's arguments.
    row(
        test_frm.test_octet_above_ascii_in_long_messages,
        "closes-in-silence",
        ["rejections: close (DAT-2)"],
    ),
    row(
        test_lim.test_idle_connections,
        "delete-answered",
        ["idle connections: held for 0 s of 60"],
    ),
    row(test_ends.test_each_end, "told-before-the-data", ["DELETE: silent"]),
    row(
        test_frm.test_messages_beyond_what_all_take,
        "data-of65536",
        [],
    ),
    row(
        MUCH,
        odd_servers.RefusesWhereMuchWaits,
        ["rejections: error reply and close (FRM-11)", "DELETE: silent"],
    ),
    row(
        test_frm.test_malformed_again_and_again,
        "closes-after-error",
        ["rejections: error reply and close (FRM-5)"],
        rule="FRM-5",
    ),
    row(
        test_acc.test_username_of_65536_octets,
        "most-names-taken",
        ["DELETE: silent"],
    ),
    row(
        test_stream.test_a_thousand_messages_ahead_of_their_echoes,
        odd_servers.Kept1000,
        [],
    ),
    row(
        test_frm.test_lengths_that_look_like_none,
        "too-long-closes-in-silence",
        [],
        command="DELETE",
    ),
    row(
        test_messages.test_kept_messages,
        "kept-of100000-octets",
        [],
        kind="of-all-lengths",
    ),
    row(MUCH, VARIANTS["closes-with-reset"].part, ["DELETE: silent"]),
    row(
        MUCH,
        odd_servers.SessionOutlastsReplies,
        ["rejections: error reply and close (FRM-11)", "DELETE: silent"],
    ),
    row(
        test_snd.test_more_than_three_fields,
        "extra-fields-delivered",
        ["SEND of more than three fields: delivered"],
        message=b"one|||two",
    ),
    row(
        test_snd.test_more_than_three_fields,
        "closes-in-silence",
        ["rejections: close (SND-10)", "SEND of more than three fields: rejected"],
        message=b"one|||two",
    ),
    *[
        row(
            test_snd.test_recipient_that_does_not_read,
            server,
            [f"recipient that does not read: {how}"],
            much="much",
        )
        for server, how in [
            ("slow-cut-off", "cut off"),
            ("cuts-off-at-once", "cut off"),  # too soon, which another case says
            ("slow-kept", "kept for"),
            ("slow-refused", "waited for, then its senders are refused"),
        ]
    ],
    *[
        row(test_snd.test_recipient_that_does_not_read, server, [], much="some")
        for server in (
            "cuts-off-at-once",
            odd_servers.CutsOffAfterwards,
            odd_servers.KeepsAfterwards,
        )
    ],
]


@pytest.mark.parametrize(("case", "server", "arguments", "choices"), RIGHT)
def test_what_is_said_of_a_server_that_is_right_in_a_way_of_its_own(
    case: Callable[..., None],
    arguments: dict[str, Any],
    server: str | Part,
    choices: list[str],
) -> None:
    served = assemble(part(server), 0)
    with judging(served) as run:
        case(run, **arguments)
        assert run.profile() == choices
    assert served.chat.accounts == {}  # whatever name was taken


LEFT_OUT = [
    # A case, a server, why nothing could be said; the case's arguments.
    row(
        test_ends.test_life_behind,
        "closes-in-silence",
        "the server closes the connection",
        prelude="a-malformed-frame",
    ),
    row(
        test_frm.test_live_message_amid_a_malformed_frame,
        "closes-in-silence",
        "the server closes the connection",
    ),
    row(
        MUCH,
        odd_servers.EndsInHalfAFrame,
        "the server does not let so much wait",
    ),
    row(
        test_deliver.test_reset_amid_live_messages,
        "slow-refused",
        "the server does not keep so much",
        deleted=False,
    ),
    row(
        test_deliver.test_reset_amid_live_messages,
        odd_servers.SessionOutlastsReplies,
        "the session lasts until all has been read",
        deleted=False,
    ),
    row(
        test_deliver.test_reset_amid_live_messages,
        odd_servers.NamesFreeOnce,
        "the server reads nothing of who does not read",
        deleted=True,
    ),
    row(
        MUCH,
        odd_servers.FortyADeliver,
        "the server does not let so much wait",
    ),
    row(
        MUCH,
        odd_servers.CutsOffAtDeliver,
        "the server does not let so much wait",
    ),
    row(
        test_stream.test_reply_can_be_read_before_a_reset,
        "version-told-and-open",
        "the server does not close the connection after a reply",
        damage="version",
        sent="at-once",
    ),
    row(
        MUCH,
        "kept-of100000-octets",
        "the server does not keep so much",
    ),
    row(
        MUCH,
        Server,
        "the server takes its time over long messages",
    ),
    row(
        test_acc.test_word_as_username,
        Server,
        "somebody has the username 'admin'",
        word="admin",
    ),
    row(
        test_acc.test_session_behind_one_that_was_cut_off,
        "version-told-and-open",
        "the server does not close the connection after a rejection",
    ),
    row(
        test_acc.test_session_behind_one_that_was_cut_off,
        "sessions-outlast-replies",
        "the session lasts until the client has closed, too",
    ),
]


@pytest.mark.parametrize(("case", "server", "arguments", "why"), LEFT_OUT)
def test_a_case_is_left_out_where_it_would_say_nothing(
    case: Callable[..., None],
    arguments: dict[str, Any],
    server: str | Part,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if why.startswith("the server takes its time"):
        monkeypatch.setattr(test_deliver, "SLOW", 0)
    with (
        judging(assemble(part(server), 0), timeout=BOUND) as run,
        Client.connect(*run.target.address) as stranger,
    ):
        stranger.create("admin")
        with pytest.raises(pytest.skip.Exception) as left_out:
            case(run, **arguments)
    assert str(left_out.value) == why


def test_cases_of_a_run_that_could_hold_nothing_are_left_out() -> None:
    with judging() as run:
        first, idle = run.bystanders.first, run.bystanders.idle
        run.bystanders.first, run.bystanders.idle = [], []
        for case in test_acc.test_first_accounts, test_lim.test_idle_connections:
            with pytest.raises(pytest.skip.Exception, match="could be"):
                case(run)
        run.bystanders.first, run.bystanders.idle = first, idle


def test_long_filters_are_left_out_where_asterisks_take_long() -> None:
    with judging() as run:
        run.failed.update(test_lst.HARD)
        with pytest.raises(pytest.skip.Exception, match="takes its time over ast"):
            test_lst.test_filters_of_all_lengths(run)


def test_sessions_are_no_more_than_there_is_room_for_accounts() -> None:
    server = Server()
    with judging(server) as run, Script(run) as script:
        before = set(server.chat.accounts)
        script.open("A")
        test_lim.sessions(script, ["A"] * 1001)
        assert set(server.chat.accounts) == before


def test_few_of_a_thousand_accounts_are_deleted_of_a_slow_server() -> None:
    with judging() as run:
        run.pace = Pace(1.0)
        assert run.slow
        test_lim.test_a_thousand_accounts(run)
        assert run.sweep() == 0


def test_filters_that_match_nobody_do_so_whatever_ends_a_name() -> None:
    with judging() as run:
        for _ in range(36):  # all that a name of a run can end in, one after another
            test_lst.test_filters_of_all_lengths(run)
