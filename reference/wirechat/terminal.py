"""The chat program: ``wirechat [HOST:PORT]``, on a terminal or through a pipe."""

import argparse
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from wirechat.client import HOST, PORT, Client, ConnectionLost, Refused
from wirechat.console import Console, standard_console, visible

ADDRESS = re.compile(r"(?:\[([^]]+)]|([^][:]+)):([0-9]{1,5})")
"""``HOST:PORT``, where a host with colons of its own is in brackets."""

STDOUT = 1
"""Its descriptor, whether or not it was open when the program was started."""


class Conversation:
    """What somebody does on a connection, one line after another, until they leave."""

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console

    def run(self) -> None:
        """Obey what is typed until it ends the connection, or nothing more is typed.

        Raises:
            ConnectionLost: The server went away.
        """
        self._console.show(f"commands: {', '.join(START)}")
        try:
            while not self._client.closed:
                self._obey(self._ask(f"{self._client.username}> ").strip())
        except EOFError:
            self._leave("")

    def _obey(self, line: str) -> None:
        name, _, given = line.partition(" ")
        action = self._commands.get(name)
        if action and (action.takes or not given):
            self._carry_out(action, given.strip())
        elif line:
            self._console.show(f"unknown command: {line}")
            self._help("")

    def _carry_out(self, action: "Action", given: str) -> None:
        try:
            action.act(self, given)
        except Refused as error:
            self._console.show(f"refused: {error}")
        except ValueError as error:
            self._console.show(f"not sent: {error}")

    @property
    def _commands(self) -> Mapping[str, "Action"]:
        return SESSION if self._client.username else START

    def _ask(self, prompt: str) -> str:
        self._show_messages()
        while (line := self._console.ask(prompt, self._client)) is None:
            self._show_messages()
        return line

    def _ask_name(self, prompt: str) -> str:
        if name := self._ask(prompt).strip():
            return name
        raise ValueError("a username is needed")

    def _show_messages(self) -> bool:
        shown = False
        for message in self._client.messages():
            self._console.show(f"<{message.sender}> {message.text}")
            shown = True
        return shown

    def _login(self, name: str) -> None:
        self._client.login(name or self._ask_name("username: "))
        self._welcome()

    def _create(self, name: str) -> None:
        self._client.create(name or self._ask_name("username: "))
        self._welcome()

    def _welcome(self) -> None:
        self._console.show(f"logged in as {self._client.username}; h for help")

    def _help(self, _: str) -> None:
        for name, action in self._commands.items():
            usage = f"{name} {action.takes}"
            self._console.show(f"  {usage:<27}{action.does}")

    def _compose(self, given: str) -> None:
        recipient, _, text = given.partition(" ")
        recipient = recipient or self._ask_name("to: ")
        self._client.send(recipient, text or self._ask("message: "))
        self._console.show(f"sent to {recipient}")

    def _list(self, filter: str) -> None:
        for name in sorted(self._client.list(filter)) or ["no such users"]:
            self._console.show(name)

    def _get(self, _: str) -> None:
        self._client.deliver()
        if not self._show_messages():
            self._console.show("no new messages")

    def _delete(self, _: str) -> None:
        name = self._client.username
        self._client.delete()
        self._leave("")
        self._console.show(f"deleted {name}")

    def _leave(self, _: str) -> None:
        self._client.close()
        self._show_messages()
        if self._client.username:
            self._console.show("logged out")


class Action(NamedTuple):
    """One thing to do, what may follow its name, and what the help says of it."""

    act: Callable[[Conversation, str], None]
    takes: str
    does: str


START = {
    "login": Action(Conversation._login, "[USERNAME]", "log in to an account"),
    "create_account": Action(
        Conversation._create, "[USERNAME]", "make an account and log in"
    ),
    "quit": Action(Conversation._leave, "", "leave"),
}
"""What can be done before login."""
SESSION = {
    "h": Action(Conversation._help, "", "help: show this"),
    "c": Action(
        Conversation._compose, "[USERNAME [MESSAGE]]", "compose and send a message"
    ),
    "l": Action(Conversation._list, "[FILTER]", "list users: all, or those like al*"),
    "g": Action(Conversation._get, "", "get the messages kept while you were away"),
    "d": Action(Conversation._delete, "", "delete your account, and leave"),
    "q": Action(Conversation._leave, "", "log out, and leave"),
}
"""What can be done after it."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def address(text: str) -> tuple[str, int]:
    """Return the host and the port of ``HOST:PORT``.

    Raises:
        ArgumentTypeError: It is none.
    """
    match = ADDRESS.fullmatch(text)
    if not match or not 0 < int(match[3]) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no address")
    return match[1] or match[2], int(match[3])


def main(arguments: Sequence[str] | None = None) -> int:
    """Connect, chat, and return the exit status: 1 where there is no server."""
    parser = Parser("wirechat", description="Chat with the users of a server.")
    parser.add_argument(
        "address",
        metavar="HOST:PORT",
        nargs="?",
        type=address,
        default=(HOST, PORT),
        help=f"where the server is (default: {HOST}:{PORT})",
    )
    host, port = parser.parse_args(arguments).address
    # Either signal logs out, and leaves the terminal as it was.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return chat(host, port)
    except KeyboardInterrupt:
        return 0
    except OSError as error:  # whoever read what is shown is gone, for instance
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        return fail(error.strerror)


def chat(host: str, port: int) -> int:
    """Chat on this console with the server at this address."""
    try:
        client = Client.connect(host, port)
    except (socket.gaierror, UnicodeError) as error:
        return fail(f"no host {host!r}: {getattr(error, 'strerror', error)}", 2)
    except OSError as error:
        return fail(f"can't connect to {host} port {port}: {error.strerror or error}")
    try:
        with client, standard_console() as console:
            Conversation(client, console).run()
    except ConnectionLost as error:
        return fail(error)
    return 0


def fail(reason: object, status: int = 1) -> int:
    """Say on stderr why nothing more can be done, and return the exit status."""
    print(f"wirechat: {visible(str(reason))}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
