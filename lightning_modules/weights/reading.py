"""Read weights from a file: a run's checkpoint, a state dict of torch or timm, safetensors."""

import pickle
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foundation.compat.torch import begins_like_torch
from foundation.errors import UserError

INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "module", "net", "network")
"""Keys under which training scripts keep a network's state, averaged ones first, as timm reads them."""
AVERAGED = ("state_dict_ema", "model_ema")
PACKAGE = "package:"
ENDINGS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt")


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read the tensors of a file by name; pickled code in it does not run.

    Args:
        path: A checkpoint, also of another Lightning project; a state dict (`.pt`, `.pth`, `.bin`), alone or inside a
            dict of a training script; `.safetensors`; the folder of a run, whose best checkpoint is read; or
            `package:NAME`, an installed package that ships one such file.

    Returns:
        The tensors; and what they are, for a message.

    Raises:
        UserError: The file does not exist or holds no weights.
    """
    if str(path).startswith(PACKAGE):
        path = _in_package(str(path).removeprefix(PACKAGE))
    file = _in_folder(path) if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"weights: there is no file {file}.")
    content = _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    state, what = _state_in(content)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        found = ", ".join(map(str, list(content)[:5])) or "nothing"
        raise UserError(f"weights: {file} holds no weights by name; it holds {found}.")
    return tensors, f"{file}{what}"


def _in_package(name: str) -> Path:
    """Return the file of weights in an installed package, whose code does not run."""
    found = find_spec(name.replace("-", "_").partition(".")[0])
    if found is None or not found.submodule_search_locations:
        raise UserError(f"weights: there is no package {name!r}: pip install {name}.")
    folders = [Path(folder) for folder in found.submodule_search_locations]
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix in ENDINGS)
    if len(files) != 1:
        shown = ", ".join(map(str, files)) or "none"
        raise UserError(f"weights: the package {name!r} should hold one file of weights, found {shown}: give the file.")
    return files[0]


def _in_folder(folder: Path) -> Path:
    files = [folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise UserError(f"weights: {folder} is not a run's folder: it has no checkpoints/best.ckpt or last.ckpt.")
    return found


def _safetensors(file: Path) -> Mapping[str, Any]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(f"weights: {file} needs the package safetensors: pip install safetensors.") from error
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except Exception as error:  # of a library in Rust, whose errors have no common base
        raise UserError(f"weights: {file} is not a safetensors file: {str(error).splitlines()[0]}.") from error
    return tensors


def _torch(file: Path) -> Mapping[str, Any]:
    with file.open("rb") as opened:
        start = opened.read(2)
    if start and not begins_like_torch(start):
        raise UserError(f"weights: {file} is not a file of torch: it begins with {start!r}.")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error) and "class" not in str(error):  # no object is refused: it is no pickle at all
            raise UserError(f"weights: {file} is not a file of torch, or it is damaged.") from error
        raise UserError(
            f"weights: {file} holds Python objects that could run code when loaded. Save the weights alone: "
            "torch.save(network.state_dict(), FILE)."
        ) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle fails in any way
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"weights: {file} is not a file of torch: {reason}.") from error
    if not isinstance(content, Mapping):
        raise UserError(f"weights: {file} holds a {type(content).__name__}, expected a dict of tensors by name.")
    return content


def _state_in(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the state itself, and what is to be said about it."""
    if "pytorch-lightning_version" in content:
        # An average of the weights is saved as the weights themselves, with the current ones beside it.
        return content["state_dict"], " (averaged weights)" if "current_model_state" in content else ""
    for key in INSIDE:
        if isinstance(content.get(key), Mapping):
            return content[key], " (averaged weights)" if key in AVERAGED else ""
    return content, ""
