from __future__ import annotations

from typing import cast

import pytest

from cdk8s_publish.errors import LeaseLostError
from cdk8s_publish.publish import loop
from cdk8s_publish.publish.branch.git_errors import TransientRemoteError
from cdk8s_publish.publish.loop import TRANSIENT_ATTEMPTS, Target

TARGET = cast("Target", None)  # only a throttled remote is asked anything


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


def test_patience__a_lost_race_is_given_up_only_after_the_limit(pauses: list[float]) -> None:
    patience = loop._Patience()  # noqa: SLF001
    for _ in range(100):
        patience.wait(LeaseLostError("others were faster"), TARGET)
    assert len(pauses) == 100
    assert 0 < min(pauses) <= max(pauses) <= 8
    with pytest.raises(LeaseLostError) as caught:
        loop._Patience(limit_s=-1).wait(LeaseLostError("others were faster"), TARGET)  # noqa: SLF001
    assert caught.value.exit_code == 6


def test_patience__a_failing_connection_is_given_up_after_a_few_attempts(pauses: list[float]) -> None:
    patience = loop._Patience()  # noqa: SLF001
    for _ in range(TRANSIENT_ATTEMPTS - 1):
        patience.wait(TransientRemoteError("no answer"), TARGET)
    with pytest.raises(TransientRemoteError):
        patience.wait(TransientRemoteError("no answer"), TARGET)
    assert len(pauses) == TRANSIENT_ATTEMPTS - 1
