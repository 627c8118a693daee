"""One CSV file to rows. In: bytes as a spreadsheet saved them. Out: records that know their line.

Accepts UTF-8 with or without mark, UTF-16 with mark, and comma, semicolon or tab as separator; text becomes
Unicode NFC. Refuses the Vietnamese encodings that came before Unicode, naming the line. Never reads a disk.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.inventory.problems import Problems
from gateway.inventory.schema import FileSchema

BYTES_MAX = 256 * 1024 * 1024
"""Largest inventory file; a city of a million light points needs about 100 MB."""

_TCVN3 = re.compile("[\u00a1-\u00bf]")  # symbols that carry Vietnamese letters in TCVN3 fonts only
_VNI = re.compile("[ØÏÛÑÖÅÆËøïûñöåæë]")  # letters Vietnamese does not have; VNI writes its tones with them
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a table: ``where`` is ``file:line`` as an editor counts it (1-based)."""

    where: str
    values: dict[str, str]
    decimal_comma: bool = False


def decode_text(data: bytes, file: str, problems: Problems) -> str | None:
    """Bytes to text, or None with a problem that names the offending line."""
    if len(data) > BYTES_MAX:
        problems.add(file, "", f"{len(data)} bytes", f"split it: at most {BYTES_MAX} bytes are read")
        return None
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add(
            f"{file}:{line}",
            "",
            "the text is not Unicode",
            "save it as 'CSV UTF-8'; convert TCVN3 or VNI fonts to Unicode first",
        )
        return None


def read_table(data: bytes, schema: FileSchema, problems: Problems) -> Iterator[Record]:
    """The rows of one CSV file, one at a time; empty lines are skipped, ill-formed ones reported."""
    text = decode_text(data, schema.file, problems)
    if text is None:
        return
    separator = _separator(text)
    plain = is_plain(text)
    del text  # of a large city; the lines are decoded again as they are needed
    lines = _csv_lines(data, separator, schema.file, problems)
    first = next(lines, None)
    if first is None:
        problems.add(f"{schema.file}:1", "", "the file is empty", f"start with the line {schema.header}")
        return
    header = [name.strip().lower() for name in first[1]]
    if not _header_holds(header, schema, problems):
        return
    for line, cells in lines:
        where = f"{schema.file}:{line}"
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            problems.add(where, "", f"{len(cells)} cells, the header has {len(header)}", "add or quote cells")
            continue
        values = {name: clean_text(cell) for name, cell in zip(header, cells, strict=True)}
        if plain or is_readable(values, where, problems):
            yield Record(where, values, decimal_comma=separator != ",")


def clean_text(text: str) -> str:
    """NFC, trimmed, inner runs of white space made one space."""
    if text.isascii() and text.isalnum():
        return text  # most cells
    return " ".join(unicodedata.normalize("NFC", text).split())


def is_plain(text: str) -> bool:
    """Whether nothing in a whole file could make a cell unreadable; most files are so."""
    return not (_CONTROL.search(text) or _TCVN3.search(text) or _VNI.search(text))


def is_readable(values: dict[str, str], where: str, problems: Problems) -> bool:
    """False, with a problem, where a cell holds control characters or a pre-Unicode font's letters."""
    for key, text in values.items():
        if _CONTROL.search(text):
            problems.add(where, key, f"{text!r} holds a control character", "remove it")
            return False
        if _TCVN3.search(text) or len(_VNI.findall(text)) >= 2:
            problems.add(
                where, key, f"{text!r} looks like a TCVN3 or VNI font", "convert the file to Unicode first"
            )
            return False
    return True


def _separator(text: str) -> str:
    """The separator the header line uses; Excel with Vietnamese settings writes semicolons."""
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _csv_lines(data: bytes, separator: str, file: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row starts, cells); a quote left open ends the reading."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding=_encoding(data), newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        problems.add(f"{file}:{start}", "", f"not CSV: {error}", "close the quote or double it inside text")


def _encoding(data: bytes) -> str:
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _header_holds(header: list[str], schema: FileSchema, problems: Problems) -> bool:
    where, before = f"{schema.file}:1", problems.count
    for name in schema.columns:
        if name not in header and schema.columns[name]:
            problems.add(where, name, "the column is missing", f"the header is {schema.header}")
    for name in header:
        if name not in schema.columns:
            problems.add(
                where, name, "unknown column", f"known are {', '.join(schema.columns)}; remarks go to 'note'"
            )
    if len(set(header)) != len(header):
        problems.add(where, "", "a column is there twice", "keep one of them")
    return problems.count == before
