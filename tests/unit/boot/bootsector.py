"""Guests of a few hundred bytes: a boot sector that shows given texts on the screen and on the serial ports.

Real firmware starts it and real devices show what it says, within two seconds: what a start looks like where it ends
can be tested without an operating system. Only BIOS machines start it.
"""

import struct
from pathlib import Path

SCREEN = 0x000
WAIT = 0x001
SERIAL = 0x3F8
REPORT = 0x2F8
_KEYBOARD = 0x064
_END = 0xFFFF
_RESET = 0xFE
_TICKS = 18.2

_CODE = bytes.fromhex(
    "31c0 8ed8 8ec0 8ed0 bc007c"  # xor ax,ax; ds = es = ss = 0; sp = 0x7c00
    "be507c b442 cd13"  # int 13h, 42h: read the sectors that the packet at 0x7c50 names (dl: the boot disk)
    "be007e"  # si = 0x7e00
    "ad 89c2 ac"  # next: dx = port; al = byte
    "83faff 741f"  # port 0xffff: halt
    "85d2 7408"  # port 0: screen
    "83fa01 740c"  # port 1: wait
    "ee ebeb"  # out dx,al; next
    "b40e bb0700 cd10 ebe2"  # screen: int 10h, 0eh: teletype; next
    "30e4 89c1 fb f4 e2fc ebd8"  # wait: as many timer interrupts as al says; next
    "fa f4 ebfc"  # halt
)


def shows(port: int, text: str) -> bytes:
    """The text on the screen or a serial port."""
    encoding = "cp437" if port == SCREEN else "utf-8"
    return b"".join(struct.pack("<HB", port, byte) for byte in text.replace("\n", "\r\n").encode(encoding))


def waits(seconds: float) -> bytes:
    """A pause of up to 14 s."""
    return struct.pack("<HB", WAIT, round(seconds * _TICKS))


def resets() -> bytes:
    """A reset by the keyboard controller."""
    return struct.pack("<HB", _KEYBOARD, _RESET)


def write_disk(path: Path, *actions: bytes, size: int = 2**20) -> Path:
    """A raw disk whose boot sector does these actions, and then nothing more."""
    program = b"".join(actions) + struct.pack("<HB", _END, 0)
    sectors = -(-len(program) // 512)
    assert sectors <= 64, "the program must fit below 64 KiB"
    packet = struct.pack("<BBHHHQ", 16, 0, sectors, 0x7E00, 0, 1)
    first = _CODE.ljust(0x50, b"\0") + packet
    path.write_bytes(first.ljust(510, b"\0") + b"\x55\xaa" + program)
    with path.open("r+b") as file:
        file.truncate(size)
    return path
