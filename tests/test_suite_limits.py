"""Cases on limits: what they make of servers that have them, and of those without."""

import resource
import select
import socket
import threading
import time
from contextlib import ExitStack, closing

import pytest

from tests.faults import acc_ends
from tests.judged import judging
from tests.null_servers import Mortal
from tests.parts import Chat, Connection, Frame, Outbox, Part, Server, Session, assemble
from tests.variants.answers import FewNamesTaken
from wirechat.codec import Command, encode
from wirechat_conformance import frames, grace, pace
from wirechat_conformance.bystanders import asked
from wirechat_conformance.cases import test_lim, test_lst, test_snd, test_stream
from wirechat_conformance.failure import Failure
from wirechat_conformance.frames import NO_NAMES
from wirechat_conformance.peer import GoneError
from wirechat_conformance.script import Script
from wirechat_conformance.settings import MINUTE

pytestmark = pytest.mark.whole

TIMEOUT = 0.3
BOUND = 30.0


class Full(Mortal):
    """Takes no connection any more once it has served a number of them."""

    def break_down(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)


def test_a_server_that_takes_no_more_connections() -> None:
    server = Full()
    server.lives = -1
    with judging(server, timeout=1.0) as run:
        server.lives = 9  # one of them is to sweep
        with pytest.raises(Failure) as failed:
            test_lim.test_a_thousand_connections(run)
        assert failed.value.rules == ("LIM-2", "FRM-10", "LIM-1")
        assert failed.value.got.startswith("no connection: connection re")


def test_a_server_that_serves_too_few_connections_serves_these_again() -> None:
    with judging(Server(max_connections=110), timeout=1.0) as run:
        with pytest.raises(Failure, match="fence; got RESPONSE 36") as failed:
            test_lim.test_a_thousand_connections(run)
        assert failed.value.rules == ("LIM-2",)


class EndsLate(Server):
    """Takes its time to notice that a connection has ended."""

    def end(self, connection: Connection) -> None:
        select.select([], [], [], 0.1)
        super().end(connection)


def test_none_of_a_hundred_connections_counts_when_they_are_tried_once_more() -> None:
    with judging(EndsLate(max_connections=100), timeout=1.0) as run:
        stranger = run.connect()

        def attempt() -> None:
            with closing(stranger):
                test_lim.anew(run)

        with pytest.raises(Failure, match="got RESPONSE 36") as failed:
            attempt()
        assert failed.value.rules == ("FRM-10", "LIM-1")
        stranger = run.connect()
        test_lim.patiently(run, attempt)


@pytest.mark.parametrize(
    ("hard", "allowed"), [(1024, None), (1100, 1100), (resource.RLIM_INFINITY, 1100)]
)
def test_as_many_files_are_opened_as_are_allowed(
    hard: int, allowed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(256, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    if allowed is None:
        with pytest.raises(pytest.skip.Exception, match="no more than 1024 open files"):
            test_lim.allow_files(1100)
    else:
        test_lim.allow_files(1100)
        test_lim.allow_files(1000)
        assert limits[1:] == [(allowed, hard)]


@pytest.mark.parametrize(("part", "length"), [(FewNamesTaken, 32), (Server, 64)])
def test_the_longest_names_are_taken_that_a_server_likes(
    part: Part, length: int
) -> None:
    with judging(assemble(part, 0)) as run, Script(run, "LIM-3") as script:
        assert test_lim.long_name(script) == length


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("error", [GoneError(), Failure(["LIM-1"], "this", "that")])
def test_what_may_count_what_has_ended_is_tried_once_more(
    times: int, error: Exception
) -> None:
    trouble = iter([error] * times)

    def attempt() -> None:
        for each in trouble:
            raise each

    with judging(timeout=TIMEOUT) as run:
        begun = time.monotonic()
        if times > 1:
            with pytest.raises(type(error)):
                test_lim.patiently(run, attempt)
        else:
            test_lim.patiently(run, attempt)
        assert (time.monotonic() - begun >= TIMEOUT) is (times > 0)


class TakenAnsweredOddly(Chat):
    """Answers CREATE with a LISTRESPONSE where the name is taken."""

    def create(self, session: Session, frame: Frame) -> Outbox:
        taken = frame.fields[0] in self.accounts
        odd = encode(Command.LISTRESPONSE, "odd")
        return [(session, odd)] if taken else super().create(session, frame)


def test_an_account_that_is_neither_made_nor_refused() -> None:
    with (
        judging(Server(chat=TakenAnsweredOddly())) as run,
        Script(run, "LIM-3") as script,
    ):
        name = script.account("A")
        with pytest.raises(Failure, match='got LISTRESPONSE 3 "odd"') as failed:
            test_lim.make(script, [name])
        assert failed.value.rules == ("LIM-3",)


def test_an_idle_connection_that_is_closed() -> None:
    server = Server()
    with judging(server) as run:
        test_lim.test_idle_connections(run)
        with server.lock:
            for connection in server.connections.values():
                connection.hang_up(socket.SHUT_RDWR)
        with pytest.raises(Failure, match="on an idle connection; got none") as failed:
            test_lim.test_idle_connections(run)
        assert failed.value.rules == ("LIM-5",)
        run.bystanders.idle_since -= MINUTE
        with pytest.raises(pytest.skip.Exception, match="more than the minute"):
            test_lim.test_idle_connections(run)


def test_frames_with_a_pause() -> None:
    server = Server()
    with judging(server) as run:
        with pytest.raises(pytest.skip.Exception, match="no frame was begun"):
            test_stream.test_frames_with_a_pause(run)
        test_lim.test_frames_that_take_their_time(run)
        peers = [peer for peer, _ in run.bystanders.paused]
        assert len(peers) == 2
        test_stream.test_frames_with_a_pause(run)
        login = frames.frame(frames.LOGIN, run.unused)
        run.bystanders.paused = [(peer, login) for peer in peers]
        with pytest.raises(pytest.skip.Exception, match="stops in a frame"):
            test_stream.test_frames_with_a_pause(run)
        run.bystanders.paused = [(peer, frames.frame(frames.LIST)) for peer in peers]
        with pytest.raises(Failure, match="with a pause in it; got LIST") as failed:
            test_stream.test_frames_with_a_pause(run)
        assert failed.value.rules == ("FRM-3",)
        with server.lock:
            for connection in server.connections.values():
                connection.hang_up(socket.SHUT_RDWR)
        assert all(peer.ends(BOUND) for peer in peers)
        with pytest.raises(pytest.skip.Exception, match="stops in a frame"):
            test_stream.test_frames_with_a_pause(run)


def test_a_session_that_is_ended_when_an_earlier_one_is_done_with() -> None:
    server = Server()
    with judging(server, timeout=1.0) as run:
        for account in server.chat.accounts.values():
            if account.name.encode() in run.bystanders.successors:
                account.session = None
        with pytest.raises(Failure) as failed:
            test_lim.test_sessions_behind_others(run)
        assert failed.value.rules == ("ACC-10", "SND-1", "FRM-10")


def test_sessions_that_could_not_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grace, "MOST", 0.01)
    with (
        judging(acc_ends.CloseLeavesSession(port=0)) as run,
        pytest.raises(pytest.skip.Exception, match="no session could be held"),
    ):
        test_lim.test_sessions_behind_others(run)


class Backtracks(Chat):
    """Comes to no end with a filter of many asterisks, and serves nobody meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.done = threading.Event(), threading.Event()

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        if frame.data.count(b"*") == 5:
            self.begun.set()
            self.done.wait(BOUND)
        return super().list_names(session, frame)


@pytest.mark.parametrize("ends", [True, False])
def test_a_filter_that_takes_long_is_waited_for_up_to_a_point(
    ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_lst, "RECOVERY", 60 if ends else 1)
    chat = Backtracks()

    def end() -> None:
        chat.begun.wait(BOUND)
        time.sleep(2.5 * TIMEOUT)  # being late is what this is about
        chat.done.set()

    with judging(Server(chat=chat), timeout=TIMEOUT) as run, ExitStack() as stack:
        stack.callback(chat.done.set)
        if ends:
            ending = threading.Thread(target=end)
            ending.start()
            stack.callback(ending.join)
        with pytest.raises(Failure, match="got nothing within"):
            test_lst.test_filters_that_backtrack(run)
        assert chat.begun.is_set()
        with closing(run.connect()) as peer:
            assert (asked(peer, run.unused) == NO_NAMES) is ends


def test_a_server_that_takes_long_messages_slowly_gets_short_ones_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = [max(map(len, texts)) for texts in test_snd.batches(8)]
    assert max(sizes) > 64_000
    monkeypatch.setattr(pace, "ENOUGH", 0)
    few = [text for texts in test_snd.batches(8) for text in texts]
    assert (len(few), max(map(len, few))) == (test_snd.SHORT, 4)
