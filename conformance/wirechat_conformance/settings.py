"""What a run is asked for: from the command line to the plugin, in one piece."""

import json
import shlex
from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULT_TIMEOUT = 2.0
"""Seconds within which a reply comes, "at once" in the protocol's words."""
DEFAULT_EXAMPLES = 20
"""Examples of each property: as many as let a run end within ten seconds."""
DEFAULT_LIMIT = 600.0
"""Seconds for a run: a server is free to take a second for each reply."""
MINUTE = 60.0
"""Seconds for which a silent connection stays open at least (LIM-5)."""


@dataclass(frozen=True)
class Settings:
    """What a run is asked for.

    Args:
        server: Host and port of the server, or none.
        launch: The command that starts it otherwise.
        only: Rules, sections or cases to run; all where there is none.
        strict: Whether a broken SHOULD counts like a broken MUST.
        timeout: Seconds within which a reply must come.
        examples: How many examples of each property; with 0 only transcripts, and
            cases that take next to no time or stand for their rule alone.
        seed: Makes repeatable what is random.
        idle: Seconds for which idle connections are held at least (LIM-5).
        limit: Seconds after which a run is given up.
        json: Where to write the report as JSON.
        save: The folder for counterexamples.
        list: Whether to list rules and cases, and run none.
    """

    server: tuple[str, int] | None = None
    launch: str = ""
    only: list[str] = field(default_factory=list)
    strict: bool = False
    timeout: float = DEFAULT_TIMEOUT
    examples: int = DEFAULT_EXAMPLES
    seed: int = 0
    idle: float = 0.0
    limit: float = DEFAULT_LIMIT
    json: str = ""
    save: str = ""
    list: bool = False

    @property
    def name(self) -> str:
        """How the server is called."""
        if self.server is None:
            return self.launch
        host, port = self.server
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def longest(self) -> float:
        """Seconds that a run takes at most."""
        return self.limit + self.idle

    @property
    def argument(self) -> str:
        """The server as an argument of the command."""
        return self.name if self.server else f"--launch {shlex.quote(self.launch)}"

    def dump(self) -> str:
        """Return the settings as one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, dumped: str) -> "Settings":
        """Return the settings that were dumped."""
        settings: dict[str, Any] = json.loads(dumped)
        if settings["server"] is not None:
            host, port = settings["server"]
            settings["server"] = (host, port)
        return cls(**settings)
