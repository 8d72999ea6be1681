"""The protocol document says what the rules file and the codec say."""

import json
import re
from pathlib import Path

import pytest

from wirechat.codec import REPLIES, REQUESTS, Command, Decoder, Frame, encode
from wirechat_conformance.rules import RULES, SECTIONS, Rule

TEXT = (Path(__file__).parent.parent / "reference" / "PROTOCOL.md").read_text("utf-8")
RULE = re.compile(r"^### (\S+) \((\w+)\)\n\n((?:> .*\n)+)", re.MULTILINE)
STEP = re.compile(
    r"^([A-Z]) ([<>]) (\w+) (\d+)(?: \"(.*)\")?\n((?:    [0-9a-f ]+\n)+)", re.MULTILINE
)
STEPS = STEP.findall(TEXT)
FIELDS = re.findall(r'^(".*")  +(\[.*\])$', TEXT, re.MULTILINE)


def test_rules_are_those_of_the_rules_file_in_its_order() -> None:
    found = [
        Rule(id, level, " ".join(quotation.replace("> ", " ").split()))
        for id, level, quotation in RULE.findall(TEXT)
    ]
    assert found == list(RULES.values())


def test_nothing_else_looks_like_a_rule() -> None:
    assert len(re.findall("^###", TEXT, re.MULTILINE)) == len(RULES)
    assert len(re.findall("^(?:>.*\n)+", TEXT, re.MULTILINE)) == len(RULES)


def test_sections_are_those_of_the_rules_file_in_its_order() -> None:
    found = re.findall(r"^## ([A-Z]{3}): (.*)$", TEXT, re.MULTILINE)
    assert found == list(SECTIONS.items())


def test_every_rule_that_is_mentioned_exists() -> None:
    sections = "|".join(SECTIONS)
    assert set(re.findall(rf"\b(?:{sections})-\d+", TEXT)) == set(RULES)


def test_commands_are_those_of_the_codec() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| (\d+) \| (.*?) \|", TEXT, re.MULTILINE)
    assert rows == [
        (command.name, str(command.value), " and ".join(senders(command)))
        for command in Command
    ]


def senders(command: Command) -> list[str]:
    sides = {"client": REQUESTS, "server": REPLIES}
    return [side for side, commands in sides.items() if command in commands]


@pytest.mark.parametrize(("data", "fields"), FIELDS)
def test_data_splits_into_the_fields_beside_it(data: str, fields: str) -> None:
    frame = Frame(Command.LISTRESPONSE, json.loads(data).encode("ascii"))
    assert frame.fields == json.loads(fields)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: " ".join(step[:4]))
def test_octets_of_a_step_are_what_its_line_says(step: tuple[str, ...]) -> None:
    _, direction, name, length, text, octets = step
    frame = Frame(Command[name], text.encode("ascii"))
    commands = REQUESTS if direction == ">" else REPLIES
    assert Decoder(commands).feed(bytes.fromhex(octets)) == [frame]
    assert len(frame.data) == int(length)
    assert encode(frame.command, *frame.fields) == bytes.fromhex(octets)


def test_conversation_is_read_as_a_whole_and_shows_every_command() -> None:
    lines = re.findall(r"^[A-Z] [<>] .*\n", TEXT, re.MULTILINE)
    assert len(STEPS) == len(lines)
    assert {name for _, _, name, *_ in STEPS} == set(Command.__members__)


def test_parts_of_a_frame_make_the_frame() -> None:
    block = re.search(r"^version +00\n(?:.*\n)*?```", TEXT, re.MULTILINE)
    assert block
    octets = re.findall(r"\b[0-9a-f]{2}\b", block[0])
    assert bytes.fromhex(" ".join(octets)) == encode(Command.CREATE, "alicia")
