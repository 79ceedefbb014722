"""What of a run happens at the same time."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from cdk8s_publish.ci.shell import Shell
from cdk8s_publish.commands import run
from cdk8s_publish.job import Job
from cdk8s_publish.log import Console
from cdk8s_publish.model import Action, PublishPlan
from cdk8s_publish.publish import loop
from cdk8s_publish.publish.sink import Observed
from cdk8s_publish.render import copy_checkout
from cdk8s_publish.render.environment import RunAs

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from cdk8s_publish.publish.sink import Sink


def test_pipeline__copies_the_checkout_while_it_looks_at_the_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, private = tmp_path / "workspace", tmp_path / "private"
    workspace.mkdir()
    private.mkdir()
    (workspace / "cdk8s.yaml").write_text("app: 'true'\n")
    meeting = threading.Barrier(2, timeout=30)
    attempt = loop.Attempt(Observed(None, ()), PublishPlan(Action.PUBLISH, "it is new"))

    def meet(*_: object) -> Any:  # noqa: ANN401
        meeting.wait()
        return attempt

    def copy(*arguments: Any) -> Path:  # noqa: ANN401
        meeting.wait()
        return copy_checkout(*arguments)

    monkeypatch.setattr(loop, "look", meet)
    monkeypatch.setattr(run, "copy_checkout", copy)
    job = Job({}, workspace, Shell(), Console(io.StringIO(), Shell()), io.StringIO(), scratch=private)
    sink = SimpleNamespace(name="manifests")
    assert run._look(cast("Sink", sink), cast("Any", None), RunAs({}, workspace, timeout_s=30), job) is attempt  # noqa: SLF001
    assert (private / "source" / "cdk8s.yaml").is_file()
