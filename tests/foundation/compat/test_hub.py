"""Where there is no network, the hub's library uses what was downloaded, and does not retry for a minute."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from foundation.compat.hub import hub_answers, without_retries


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", fail)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)


def test_it_fails_at_once(offline: None, tmp_path: Path) -> None:
    before, start = constants.HF_HUB_OFFLINE, time.monotonic()
    with without_retries(), pytest.raises((LocalEntryNotFoundError, OfflineModeIsEnabled)):
        hf_hub_download("timm/test_vit.r160_in1k", "model.safetensors", cache_dir=str(tmp_path))
    assert before == constants.HF_HUB_OFFLINE
    assert time.monotonic() - start < 60, "the library retried"


def test_a_proxy_may_reach_the_hub(offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hub_answers()
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    assert hub_answers()
