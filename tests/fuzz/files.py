"""Files of every wrong kind."""

import io
import zipfile


def _archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/version", b"3\n")
    return stream.getvalue()


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

CONFIGS = (
    b"", b"trainer:\n", b"model:\n", b"- a\n- b\n", b"text", b"trainer: [\n", b"a: &x [*x]\n", b"\xff\xfe\x00",
    b"trainer: {max_epochs: 1}\ntrainer: {max_epochs: 2}\n", "trainer: ü\n".encode("latin-1"), b"trainer:\n\t- a\n",
    PNG, b"config: mistake.yaml\n", b"data: 3\n", b"trainer: 3\n", b"? [a, b]\n: 3\n", b"# only a comment\n",
    b"trainer: {max_epochs: !!python/object:os.system x}\n", b"model: *nowhere\n", b"1: 2\n", b"null\n", b"3\n",
    b"---\ntrainer: {max_epochs: 1}\n---\ntrainer: {max_epochs: 2}\n", b"{}\n", b"trainer: {}}\n", _archive(),
    b"model: {class_path: lightning_modules.ImageClassifier, init_args: }\n", b"trainer: {callbacks: {}}\n",
    b"data: []\n", b"trainer: max_epochs: 3\n", b"trainer:\n max_epochs: 3\n  max_steps: 4\n", b"model: [1, 2]\n",
    b"%YAML 9.9\n---\ntrainer: {}\n", b"trainer: !nosuch 3\n", b"<<: 3\n", b"a\0b: 3\n", b"model: &a {x: *a}\n",
)  # fmt: skip
"""Contents of a config that is none."""

FILES = (
    b"", b"text", PNG, _archive(), b"\x80\x04.", b"candidates: 3\n", b"- a\n", b"\xff\xfe\x00", b"PK\x03\x04",
    b"base: nowhere.yaml\n", b"search: [a]\n", b"trainer: {max_epochs: 1}\n", b"a: &x [*x]\n", b"study: {}\n",
)  # fmt: skip
"""Contents of a file that is no checkpoint, no image and no study."""

USER_MODULE = """\
class Raises:
    def __init__(self):
        raise KeyError("a key of the user's")


class Untyped:
    def __init__(self, a, b=1):
        pass


class Nothing:
    pass


value = 3
"""
"""A module `mistake.py` of the user's in the working folder."""
