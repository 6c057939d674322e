"""Bounded damage to files that were whole: what a bad disk, a bad editor or a bad neighbour does to them."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable

from hypothesis import strategies as st

KINDS = ("drop", "swap", "insert", "line", "word")
WORDS = [
    b"0", b"-1", b"nan", b"inf", b"1e999", b"true", b'""', b"[]", b"{}", b"null", b"[[rule]]", b"\n", b"\xff",
    b"9" * 400, b"\x00", b'"~nobody/x"', b'"' + b"a" * 5000 + b'"', b'"\\u0000"', b"2026-13-45", b"[" * 3000,
    b'"**/**/*"', b'"file:///etc/passwd"', b"-9223372036854775809", b"'", b'"', b"{'a'=1}",
]  # fmt: skip
"""What is put in the place of a word."""

change = st.tuples(st.integers(0, 1_000_000), st.sampled_from(KINDS), st.integers(0, 255))
changes = st.lists(change, min_size=1, max_size=4)


def damaged(content: bytes, hurts: list[tuple[int, str, int]]) -> bytes:
    """Content after each of the changes: where, of which kind, and with what."""
    for place, kind, value in hurts:
        at = place % max(len(content), 1)
        if kind == "drop":
            content = content[:at] + content[at + 1 + value % 20 :]
        elif kind == "swap":
            content = content[:at] + bytes([value]) + content[at + 1 :]
        elif kind == "insert":
            content = content[:at] + bytes([value % 128]) + content[at:]
        elif kind == "line":
            lines = content.split(b"\n")
            del lines[place % len(lines)]
            content = b"\n".join(lines)
        else:
            words = content.split(b" ")
            words[place % len(words)] = WORDS[value % len(WORDS)]
            content = b" ".join(words)
    return content


def bytes_turned(content: bytes, chance: random.Random, reach: int | None = None) -> bytes:
    """One to eight bytes of the first ``reach`` overwritten, or the file cut short, or a run of zeros in it."""
    data = bytearray(content)
    reach = min(len(data), reach or len(data))
    kind = chance.randrange(10)
    if kind == 0:
        del data[chance.randrange(reach) :]
    elif kind == 1:
        at = chance.randrange(reach)
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    else:
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(reach)
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, data[at] ^ (1 << chance.randrange(8))))
    return bytes(data)


STRANGE: tuple[object, ...] = (
    None, True, 0, -1, 2**70, 1e308, float("inf"), float("nan"), "", "x", "\x00", [], {}, [[]], [None], {"": None},
    "a" * 3000, [1e400], "../../x",
)  # fmt: skip


def json_turned(value: object, chance: random.Random) -> object:
    """The same JSON with one value, anywhere inside, put in the place of another, left out, or strange."""
    places: list[tuple[object, object]] = []

    def walk(inside: object) -> None:
        items = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
        for key, one in items:
            places.append((inside, key))
            walk(one)

    copy = json.loads(json.dumps(value))
    walk(copy)
    if not places or chance.randrange(30) == 0:
        return chance.choice(STRANGE)
    for _ in range(chance.randint(1, 3)):
        holder, key = chance.choice(places)
        kind = chance.randrange(4)
        try:
            if kind == 0:
                del holder[key]  # type: ignore[attr-defined]
            elif kind == 1:
                other, at = chance.choice(places)
                holder[key] = json.loads(json.dumps(other[at]))  # type: ignore[index]
            else:
                holder[key] = chance.choice(STRANGE)  # type: ignore[index]
        except (KeyError, IndexError, ValueError):
            continue
    return copy


def zip_turned(content: bytes, chance: random.Random, deep: Callable[[str], bool]) -> bytes:
    """A zip with one member damaged and written again with fitting checksums; zips inside are looked into."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: (info.compress_type, archive.read(info)) for info in archive.infolist()}
    name = chance.choice(sorted(members))
    form, data = members[name]
    if deep(name):
        data = zip_turned(data, chance, deep)
    elif name.endswith(".json") and chance.randrange(3):
        data = json.dumps(json_turned(json.loads(data), chance)).encode()
    else:
        data = bytes_turned(data, chance)
    members[name] = (form, data)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for one, (form, data) in members.items():
            archive.writestr(zipfile.ZipInfo(one), data, form)
    return sink.getvalue()
