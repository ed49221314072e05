"""Of several processes that say the same, the first one says it."""

import hashlib


def first_to_say(text: str) -> bool:
    """Whether no other process of the run has said this; also where that cannot be found out.

    The processes' own store counts; the process that holds it may be gone already.
    """
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return True
    try:
        key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return int(dist.distributed_c10d._get_default_store().add(f"said/{key}", 1)) == 1
    except RuntimeError:
        return True


def process_name() -> str:
    """` (rank 2)` where there are several processes, else nothing."""
    import torch.distributed as dist

    from commands.ranks import rank_of_process

    if dist.is_available() and dist.is_initialized():
        return f" (rank {dist.get_rank()})" if dist.get_world_size() > 1 else ""
    rank = rank_of_process()
    return f" (rank {rank})" if rank else ""
