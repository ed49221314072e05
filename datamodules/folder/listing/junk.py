"""Which names in a folder are images, and which are files and folders that operating systems and programs leave."""

import os
import stat

ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs", ".heic", ".heif", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c"}
    | {".jpc", ".tga", ".ico", ".pcx", ".sgi"}
)
"""File extensions of images, in lower case."""

_FOLDERS = frozenset(
    ("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found",
     "__pycache__")
)  # fmt: skip
_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))


def is_image(name: str) -> bool:
    """Return whether a file name has an image extension."""
    return os.path.splitext(name)[1].lower() in ENDINGS  # noqa: PTH122 - a Path for each of 60,000 files is slow


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Return whether a name is a folder, or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_special(entry: "os.DirEntry[str]") -> bool:
    """Return whether a file is a pipe or a device, from which a program might read for ever; a broken link is none."""
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False


def is_junk(name: str) -> bool:
    """Return whether a file or folder is hidden or left by a system: ``.DS_Store``, ``__MACOSX``, ``@eaDir``, ….

    Example:
        >>> is_junk(".ipynb_checkpoints"), is_junk("Thumbs.db"), is_junk("cats")
        (True, True, False)
    """
    return name.startswith(".") or name.lower() in _FOLDERS or name.lower() in _FILES
