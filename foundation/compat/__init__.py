"""Private parts of other libraries that Descent uses: one module a library, each use behind a function or a base class.

A function's docstring says why the public API does not do. A test in `tests/foundation/compat/` fails with a clear
message when the library changes, and `tests/foundation/test_private_uses.py` proves that no other file uses a private
part. Open `lightning.py` first.
"""
