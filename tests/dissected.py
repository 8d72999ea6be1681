"""What tshark says of the frames in a capture, and what the dump says of them."""

import json
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from subprocess import run
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from wirechat.codec import HEADER_SIZE
from wirechat_tools import dump
from wirechat_tools.render import quote

SCRIPT = Path(__file__).parent.parent / "tools" / "wirechat.lua"
TSHARK = shutil.which("tshark")
TEXTS = "username", "filter", "sender", "recipient", "message", "error", "field"


class Shown(NamedTuple):
    """What a tool says of a frame, or of octets that are none."""

    command: int | None
    length: int | None
    data: str
    texts: list[str]
    rules: list[str]


def tshark(path: Path, *options: str) -> str:
    command = [str(TSHARK), "-n", "-r", str(path), "-X", f"lua_script:{SCRIPT}"]
    command += ["-o", "tcp.reassemble_out_of_order:TRUE"]
    # It exits with 0 where the script is missing or fails: this tells.
    failed = run([*command, "-Y", "_ws.lua.error"], capture_output=True, check=True)
    assert failed.stdout == b""
    assert b"lua" not in failed.stderr.lower()
    return run(
        [*command, *options], capture_output=True, check=True, encoding="utf-8"
    ).stdout


def dissected(path: Path, *options: str) -> Iterator[Shown]:
    """Give what tshark says of the frames."""
    told = tshark(path, "-T", "pdml", *options)
    for tree in ElementTree.fromstring(told).iterfind(".//proto[@name='wirechat']"):
        fields = [(f.get("name", ""), f) for f in tree.iterfind("field")]
        values = {name: field for name, field in fields}
        texts = [f.get("show", "") for n, f in fields if n.partition(".")[2] in TEXTS]
        rules = [
            expert.get("show", "").partition(":")[0]
            for expert in tree.iterfind(".//field[@name='_ws.expert.message']")
        ]
        octets = values.get("wirechat.no_frame", values.get("wirechat.data"))
        data = "" if octets is None else octets.get("value", "")
        if "wirechat.no_frame" in values:
            yield Shown(None, None, data, [], rules)
            continue
        command, length = (values[f"wirechat.{n}"] for n in ("command", "length"))
        numbers = int(command.get("show", "")), int(length.get("show", ""))
        yield Shown(*numbers, data, texts, rules)


def dumped(path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shown]:
    """Give what wirechat-dump says of them."""
    dump.main(["--json", str(path)])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    for number, parts in groupby(lines, lambda line: line["frame"]):
        yield joined(number, list(parts))


def joined(number: int | None, parts: list[dict[str, Any]]) -> Shown:
    octets = "".join(part["octets"] for part in parts)
    rules = [fault["rule"] for part in parts for fault in part["faults"]]
    if number is None:
        return Shown(None, None, octets, [], rules)
    data = octets[2 * HEADER_SIZE :]
    fields = bytes.fromhex(data).decode("latin-1").split("|||") if data else []
    texts = [quote(field)[1:-1] for field in fields]
    return Shown(int(octets[2:4], 16), parts[0]["length"], data, texts, rules)
