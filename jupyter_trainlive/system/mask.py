"""What an inherited ``CUDA_VISIBLE_DEVICES`` leaves of the machine's GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .gpus import Gpu


def visible(gpus: Sequence[Gpu], environ: Mapping[str, str]) -> list[Gpu]:
    """The GPUs that a process with this environment may use, in the order in which CUDA counts them.

    The rules are those of the CUDA Programming Guide, section CUDA_VISIBLE_DEVICES: unset means all; else
    a comma-separated list of indices and of UUIDs, which may be cut short as long as they name one GPU
    (``GPU-8932f937``). The first entry that names none ends the list, so an empty value, ``-1`` and
    ``NoDevFiles`` mean no GPU at all. A GPU named twice makes CUDA show none. Indices are taken in the order of
    the PCI bus, as nvidia-smi counts; CUDA's own default order can only be told from CUDA itself. An entry that
    names a MIG slice ends the list as well: a GPU is used here as a whole.

    A GPU that has never told its UUID is left out, for it can't be named to CUDA.
    """
    mask = environ.get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        chosen = list(gpus)
    else:
        chosen = []
        for entry in mask.split(","):
            gpu = _named(entry.strip(), gpus)
            if gpu is None:
                break
            if gpu in chosen:
                return []
            chosen.append(gpu)
    return [gpu for gpu in chosen if gpu.uuid is not None]


def _named(entry: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """The one GPU that an entry of the mask names; None where it names none, or more than one."""
    if entry.isascii() and entry.isdigit():
        found = [gpu for gpu in gpus if gpu.index == int(entry)]
    elif entry.startswith("GPU-"):
        found = [gpu for gpu in gpus if gpu.uuid is not None and gpu.uuid.startswith(entry)]
    else:
        found = []
    return found[0] if len(found) == 1 else None
