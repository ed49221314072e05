"""Each part of a step stays within its launches, and none makes the host wait."""

import pytest

from tests.phantom_gpu.device import PAGEABLE, SYNCS
from tests.phantom_gpu.on_device.parts import asked, parts


@pytest.mark.phantom_gpu
def test_no_part_of_a_step_waits_or_launches_more_than_it_may() -> None:
    found = {name: (asked(function), most) for name, (function, most) in parts().items()}
    waiting = {name: one for name, (one, _) in found.items() if any(one[kind] for kind in (*SYNCS, *PAGEABLE))}
    assert not waiting
    launches = {name: (one["launch"] + one["library"], most) for name, (one, most) in found.items()}
    assert not {name: (count, most) for name, (count, most) in launches.items() if count > most}
    assert all(count > 0 for count, _ in launches.values())
