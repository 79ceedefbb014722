from __future__ import annotations

import pytest

from cdk8s_publish.errors import LeaseLostError, RateLimitError, TransientRemoteError
from cdk8s_publish.publish.loop import TRANSIENT_ATTEMPTS, Patience


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


def test_patience__a_lost_race_is_given_up_only_after_the_limit(pauses: list[float]) -> None:
    patience = Patience()
    for _ in range(100):
        patience.wait(LeaseLostError("others were faster"))
    assert len(pauses) == 100
    assert 0 < min(pauses) <= max(pauses) <= 8
    with pytest.raises(LeaseLostError) as caught:
        Patience(limit_s=-1).wait(LeaseLostError("others were faster"))
    assert caught.value.exit_code == 6


def test_patience__a_failing_connection_is_given_up_after_a_few_attempts(pauses: list[float]) -> None:
    patience = Patience()
    for _ in range(TRANSIENT_ATTEMPTS - 1):
        patience.wait(TransientRemoteError("no answer"))
    with pytest.raises(TransientRemoteError):
        patience.wait(TransientRemoteError("no answer"))
    assert len(pauses) == TRANSIENT_ATTEMPTS - 1


def test_patience__a_server_that_asks_for_it_is_left_alone_for_a_minute(pauses: list[float]) -> None:
    patience = Patience()
    for _ in range(TRANSIENT_ATTEMPTS - 1):
        patience.wait(RateLimitError("slow down"))
    assert sum(pauses) >= 60
