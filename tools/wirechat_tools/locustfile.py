"""A user for Locust, whose workers make the load of many machines.

    locust -f tools/wirechat_tools/locustfile.py --host 127.0.0.1:9000

Locust makes sockets give way to each other, so a user is a plain pair of clients: one
sends, the other receives, one message at a time, as in ``wirechat-bench``'s latency.
"""

from locust import User, constant, events, task

from wirechat_tools.bench import size_of
from wirechat_tools.command import address_of
from wirechat_tools.peer import Lost
from wirechat_tools.scenarios import Load, pair


@events.init_command_line_parser.add_listener
def add_options(parser, **_):  # type: ignore[no-untyped-def]
    """Add what Locust's own command line lacks."""
    parser.add_argument("--size", type=size_of, default=100, help="octets of a message")


class RelayUser(User):
    """Two accounts on the server at ``--host HOST:PORT``."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Connect and make the accounts."""
        size = self.environment.parsed_options.size
        self._load = Load(address_of(self.host), size=size)
        self._pair = pair(self._load)

    @task
    def relay(self) -> None:
        """Relay one message, and tell Locust how long it took, or what was wrong."""
        seconds, failure = 0.0, None
        try:
            seconds = self._pair.relay()
        except (Lost, OSError) as error:
            failure = error
        self.environment.events.request.fire(
            request_type="SEND",
            name="relay",
            response_time=seconds * 1000,
            response_length=len(self._pair.frame),
            exception=failure,
            context={},
        )
        if failure:  # what comes next on these connections may be what was missed
            self.on_stop()
            self.on_start()

    def on_stop(self) -> None:
        """Delete the accounts."""
        with self._load:
            pass
