"""Faults in the data list."""

import re

from tests.faults.registry import breaks
from tests.parts import Chat, Frame, Malformed, Outbox, Session, Steps
from wirechat.codec import Command, encode_data

# DAT-1: how fields are taken apart.


class Splitting(Steps):
    """A decoder that takes data apart in a way of its own."""

    def fields(self, command: int, data: bytes) -> list[str]:
        return self.split(data.decode("latin-1")) if data else []

    def split(self, text: str) -> list[str]:
        raise NotImplementedError


@breaks("DAT-1")
class SplitsFromTheRight(Splitting):
    """Takes fields apart from the right."""

    def split(self, text: str) -> list[str]:
        return text.rsplit("|||")


@breaks("DAT-1")
class SplitsAtRunsOfBars(Splitting):
    """Takes fields apart at three bars or more."""

    def split(self, text: str) -> list[str]:
        return re.split(r"\|{3,}", text)


@breaks("DAT-1")
class SplitsAtEachBar(Splitting):
    """Takes fields apart at each bar, without the empty ones (strtok)."""

    def split(self, text: str) -> list[str]:
        return [field for field in text.split("|") if field] or [""]


@breaks("DAT-1")
class SplitsAtTwoBars(Splitting):
    """Takes fields apart at two bars, and leaves the third away."""

    def split(self, text: str) -> list[str]:
        return [field.removeprefix("|") for field in text.split("||")]


@breaks("DAT-1")
class EmptyDataIsAField(Chat):
    """Takes LIST without data for one with an empty filter, which nothing matches."""

    def list_names(self, session: Session, frame: Frame) -> Outbox:
        if not frame.data:
            return [(session, encode_data(Command.LISTRESPONSE, b""))]
        return super().list_names(session, frame)


@breaks("DAT-1")
class EmptyFieldsAtEndDropped(Splitting):
    """Drops empty fields at the end (Java's split)."""

    def split(self, text: str) -> list[str]:
        return re.sub(r"(\|\|\|)+$", "", text).split("|||")


@breaks("DAT-3")
class DelimitersAloneAreNoData(Splitting):
    """Takes delimiters with nothing between them for no fields (Java's split)."""

    def split(self, text: str) -> list[str]:
        return text.split("|||") if text.replace("|||", "") else []


@breaks("DAT-3")
class EmptyFieldOfLoginDropped(Splitting):
    """Drops an empty field behind the username of LOGIN."""

    def fields(self, command: int, data: bytes) -> list[str]:
        if command == Command.LOGIN:
            data = data.removesuffix(b"|||")
        return super().fields(command, data)

    def split(self, text: str) -> list[str]:
        return text.split("|||")


@breaks("DAT-1")
class FieldsTrimmed(Splitting):
    """Trims bars from the ends of each field."""

    def split(self, text: str) -> list[str]:
        return [field.strip("|") for field in text.split("|||")]


# DAT-2: octets above 0x7F.


@breaks("DAT-2")
class OctetsUnchecked(Steps):
    """Takes every octet (ISO 8859-1)."""

    def ascii(self, data: bytes) -> bool:
        return True


@breaks("DAT-2")
class Utf8Taken(Steps):
    """Takes what is UTF-8."""

    def ascii(self, data: bytes) -> bool:
        return data.decode("utf-8", "ignore").encode() == data


@breaks("DAT-2")
class Octet80Taken(Steps):
    """Takes 0x80 too."""

    def ascii(self, data: bytes) -> bool:
        return all(octet <= 0x80 for octet in data)


@breaks("DAT-2")
class OctetFFTaken(Steps):
    """Takes 0xFF too."""

    def ascii(self, data: bytes) -> bool:
        return data.replace(b"\xff", b"").isascii()


@breaks("DAT-2")
class MessagesUnchecked(Steps):
    """Looks for octets above 0x7F in names alone."""

    def ascii(self, data: bytes) -> bool:
        return b"|||".join(data.split(b"|||")[:2]).isascii()


@breaks("DAT-2")
class LastOctetUnchecked(Steps):
    """Does not look at the last octet."""

    def ascii(self, data: bytes) -> bool:
        return data[:-1].isascii()


@breaks("DAT-2")
class OneLineChecked(Steps):
    """Looks for octets above 0x7F with ^ and $, and is content with one good line."""

    def ascii(self, data: bytes) -> bool:
        return re.search(rb"^[\x00-\x7f]*$", data, re.MULTILINE) is not None


@breaks("DAT-2")
class OctetsStripped(Steps):
    """Leaves octets above 0x7F away, and goes on with the others."""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        return super().frame(command, bytes(o for o in data if o <= 0x7F))


@breaks("DAT-2")
class HighBitsStripped(Steps):
    """Takes the low seven bits of each octet."""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        return super().frame(command, bytes(o & 0x7F for o in data))


@breaks("DAT-2")
class OctetsIgnored(Chat):
    """Passes over frames with octets above 0x7F in silence."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return [] if item.rule == "DAT-2" else super().malformed(session, item)


# DAT-3: the number of fields.


class Lenient(Steps):
    """A decoder for which a command has as many fields as it takes."""

    lenient = -1

    def fields(self, command: int, data: bytes) -> list[str]:
        found = super().fields(command, data)
        return found[: self.commands[command][1]] if command == self.lenient else found


@breaks("DAT-3")
class CreateOfTwo(Lenient):
    """Makes an account of CREATE's first field."""

    lenient = Command.CREATE


@breaks("DAT-3")
class LoginOfTwo(Lenient):
    """Logs in to LOGIN's first field."""

    lenient = Command.LOGIN


@breaks("DAT-3")
class ListOfTwo(Lenient):
    """Lists by the first of several filters."""

    lenient = Command.LIST


@breaks("DAT-3")
class DeliverWithData(Lenient):
    """Passes over DELIVER's data."""

    lenient = Command.DELIVER


@breaks("DAT-3")
class DeleteWithData(Lenient):
    """Passes over DELETE's data."""

    lenient = Command.DELETE


@breaks("DAT-3")
class CreateWithoutName(Steps):
    """Makes an account of some name where none is given."""

    def frame(self, command: int, data: bytes) -> Frame | Malformed | None:
        if command == Command.CREATE and not data:
            data = b"anonymous%d" % id(self)
        return super().frame(command, data)


@breaks("DAT-3")
class FieldsIgnored(Chat):
    """Passes over frames with too many fields or too few in silence."""

    def malformed(self, session: Session, item: Malformed) -> Outbox:
        return [] if item.rule == "DAT-3" else super().malformed(session, item)


# DAT-4: what an encoder refuses.


@breaks("DAT-4")
class BarAtEndOfName(Chat):
    """Takes usernames that end in a bar."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name.rstrip("|") or name)


@breaks("DAT-4")
class NamesOfBars(Chat):
    """Takes usernames that are nothing but bars."""

    def valid_name(self, name: str) -> bool:
        return super().valid_name(name.rstrip("|") or "bar")


@breaks("DAT-3")
class WhiteSpaceIsNoData(Steps):
    """Takes DELETE and DELIVER with white space for their data."""

    def fields(self, command: int, data: bytes) -> list[str]:
        takes_none = command in (Command.DELETE, Command.DELIVER)
        return super().fields(command, data.strip() if takes_none else data)
