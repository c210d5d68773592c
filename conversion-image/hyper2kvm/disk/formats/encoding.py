"""How the text files of VMware's products are encoded: in UTF-8, or as they say themselves (`encoding = "GBK"`).

What a product on Windows writes is in the code page of its machine: names of snapshots and disks are.
"""

import re

_DECLARED = re.compile(rb"^[ \t]*\.?encoding[ \t]*=[ \t]*\"([A-Za-z0-9_-]{1,20})\"", re.MULTILINE | re.IGNORECASE)
_CODE_PAGE = re.compile(r"windows-?(?=[0-9])")
_KNOWN = re.compile(r"cp[0-9]{3,4}|iso-?8859-[0-9]{1,2}|gbk|gb2312|gb18030|big5|shift_jis|euc-(?:jp|kr)|koi8-[ru]")
"""Encodings as Python names them, once Windows' code pages are called `cp`: of Windows, and of Linux' older locales."""


def decoded(data: bytes) -> str:
    """The text up to its first NUL: as UTF-8 where it is that, else as it says, else as Latin-1."""
    content = data.partition(b"\0")[0]
    for encoding in ("utf-8", *_declared(content)):
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("latin-1")


def _declared(content: bytes) -> tuple[str, ...]:
    match = _DECLARED.search(content)
    name = _CODE_PAGE.sub("cp", match[1].decode().lower()) if match else ""
    return (name,) if _KNOWN.fullmatch(name) else ()
