"""A writer's file as a draft."""

from __future__ import annotations

import sys
from pathlib import Path

from bwcoach.draft import MOST_CHARACTERS, Draft
from bwcoach.errors import DraftError

STANDARD_INPUT = "-"
_MOST_BYTES = 4 * MOST_CHARACTERS
_BEGINNINGS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a Word or OpenDocument file, or another zip",
    b"\xd0\xcf\x11\xe0": "a file of an old Word",
    b"{\\rtf": "rich text",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def read_draft(file: str) -> Draft:
    """The draft in a file of UTF-8 text, or on standard input where the file is called `-`.

    The text is what the bytes say and nothing else: line ends stay as they are, and a byte order mark is the first
    code point of the text and counts as one in every offset.
    """
    try:
        if file == STANDARD_INPUT:
            return Draft(decode(sys.stdin.buffer.read(_MOST_BYTES + 1), "standard input"), file)
        with Path(file).open("rb") as stream:
            return Draft(decode(stream.read(_MOST_BYTES + 1), file), file)
    except FileNotFoundError:
        fix = "give the path of a .txt or .md file, or - for standard input"
        raise DraftError(f"{file}: there is no such file; {fix}.") from None
    except IsADirectoryError:
        raise DraftError(f"{file}: this is a folder; name the files in it, such as {file.rstrip('/')}/*.txt.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DraftError(f"{file}: this cannot be read ({reason}); give the path of a readable text file.") from None


def decode(data: bytes, name: str) -> str:
    """The text of a file's bytes; DraftError, with the place, where they are not UTF-8 text."""
    if len(data) > _MOST_BYTES:
        raise DraftError(f"{name}: larger than {_MOST_BYTES // 1_000_000} MB; check it chapter by chapter.")
    for beginning, kind in _BEGINNINGS.items():
        if data.startswith(beginning):
            raise DraftError(f"{name}: this is {kind}; save it as plain text in UTF-8 (.txt or .md) and check that.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DraftError(
            f"{name}:{line}: byte 0x{data[error.start]:02x} (byte {error.start:,} of the file) is not UTF-8; save the "
            "file as UTF-8 text and check it again."
        ) from None
