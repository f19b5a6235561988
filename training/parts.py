"""Files as numbered parts, for a way that takes only so many MiB at a time: cut here, put together again there."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import zstandard

from bwcoach.errors import StageError

MANIFEST_FILE, WHOLE_FILE, DONE_FILE = "manifest.json", "all.tar.zst", "put-together"
MIB = 1 << 20


@dataclass(frozen=True)
class Part:
    """One slice of the zstd-compressed tar file of everything."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All parts of one load, in their order, and the run that they belong to. It goes along on every trip."""

    run: str
    parts: tuple[Part, ...]

    @property
    def id(self) -> str:
        """The same for the same content, however often it is cut."""
        return hashlib.sha256("".join(part.sha256 for part in self.parts).encode()).hexdigest()[:12]

    def missing(self, folder: Path) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if not (folder / part.name).exists())


def cut_into_parts(
    run: str, files: Mapping[str, Path], folder: Path, *, part_mib: float, parts_a_trip: int, level: int
) -> Manifest:
    """Write `folder`/trip-01, trip-02, ...: in each the manifest and as many parts, none of more than part_mib.

    `files`: the path that each gets below the run's folder at the other end. What `folder` held before is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = folder / WHOLE_FILE
    with (
        whole.open("wb") as out,
        zstandard.ZstdCompressor(level=level).stream_writer(out) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for name, path in sorted(files.items()):
            # Owner and time are left out, so the same files give the same parts.
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(entry, file)
    manifest = Manifest(run, tuple(_slice(whole, folder, int(part_mib * MIB))))
    whole.unlink()
    for number, part in enumerate(manifest.parts):
        trip = folder / f"trip-{number // parts_a_trip + 1:02}"
        trip.mkdir(exist_ok=True)
        (folder / part.name).rename(trip / part.name)
        (trip / MANIFEST_FILE).write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    return manifest


def _slice(whole: Path, folder: Path, limit: int) -> Iterator[Part]:
    with whole.open("rb") as file:
        for number in itertools.count(1):
            data = file.read(limit)
            if not data:
                break
            name = f"part-{number:02}.bin"
            (folder / name).write_bytes(data)
            yield Part(name, len(data), hashlib.sha256(data).hexdigest())


def read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_FILE
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(row["run"], tuple(Part(**part) for part in row["parts"]))
    except FileNotFoundError:
        raise StageError(f"{folder}: no {MANIFEST_FILE} there, so these are no parts; name a trip's folder.") from None
    except (ValueError, KeyError, TypeError):
        raise StageError(f"{path}: cut short or changed on the way; send this trip again.") from None
    if any(Path(name).name != name or name in ("", "..") for name in (manifest.run, *(p.name for p in manifest.parts))):
        raise StageError(f"{path}: names of a run and its parts are plain names, without folders.")
    return manifest


def receive_parts(trip: Path, inbox: Path) -> Manifest:
    """Take over the parts of a trip that are whole; a part already taken is left alone, a broken one is named.

    They wait in `inbox`/<id of the load> until `put_together` finds them all. Nothing is lost by an error: send the
    named parts again.
    """
    manifest = read_manifest(trip)
    folder = inbox / manifest.id
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(trip / MANIFEST_FILE, folder / MANIFEST_FILE)
    broken = []
    for part in manifest.parts:
        sent = trip / part.name
        if not sent.exists() or (folder / part.name).exists() or _is_put_together(folder):
            continue
        shutil.copyfile(sent, folder / f"{part.name}.new")
        with (folder / f"{part.name}.new").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == part.sha256:
            (folder / f"{part.name}.new").replace(folder / part.name)
        else:
            broken.append(f"{sent} ({sent.stat().st_size} bytes of {part.bytes})")
            (folder / f"{part.name}.new").unlink()
    if broken:
        raise StageError(f"cut short or changed on the way: {', '.join(broken)}; send them again. The rest is kept.")
    return manifest


def missing_parts(inbox: Path) -> tuple[str, ...]:
    """The parts that have not come yet, as <id of the load>/<part>, of all loads of which any part has."""
    folders = [path.parent for path in sorted(inbox.glob(f"*/{MANIFEST_FILE}"))]
    return tuple(f"{f.name}/{part}" for f in folders if not _is_put_together(f) for part in read_manifest(f).missing(f))


def put_together(manifest: Manifest, inbox: Path, folder: Path) -> tuple[Path, ...]:
    """Write the files below `folder`, once all parts are there, and drop the parts; gives what was written, if any.

    A file takes its name only when it is whole. Stopped half-way, the next call does all of it again.
    """
    waiting = inbox / manifest.id
    if _is_put_together(waiting) or manifest.missing(waiting):
        return ()
    written = []
    whole = waiting / WHOLE_FILE
    with whole.open("wb") as joined:
        for part in manifest.parts:
            joined.write((waiting / part.name).read_bytes())
    with (
        whole.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as archive,
    ):
        for entry in archive:
            safe = tarfile.data_filter(entry, str(folder))
            source, path = archive.extractfile(safe), folder / safe.name
            if source is None:
                raise StageError(f"{safe.name}: not a plain file; only those travel.")
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.new")
            with new.open("wb") as file:
                shutil.copyfileobj(source, file, MIB)
            new.replace(path)
            written.append(path)
    (waiting / DONE_FILE).touch()
    whole.unlink()
    for part in manifest.parts:
        (waiting / part.name).unlink()
    return tuple(written)


def _is_put_together(folder: Path) -> bool:
    return (folder / DONE_FILE).exists()
