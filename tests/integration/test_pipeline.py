"""What of a run happens at the same time."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

from cdk8s_publish.ci.shell import Shell
from cdk8s_publish.commands import run
from cdk8s_publish.inputs import parse
from cdk8s_publish.job import World
from cdk8s_publish.log import Console
from cdk8s_publish.model import Action, PublishPlan, Tip
from cdk8s_publish.publish import loop
from cdk8s_publish.publish.loop import Look, Target
from cdk8s_publish.render import schedule
from cdk8s_publish.render.environment import SynthOptions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_pipeline__copies_the_checkout_while_it_looks_at_the_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, private = tmp_path / "workspace", tmp_path / "private"
    workspace.mkdir()
    private.mkdir()
    (workspace / "cdk8s.yaml").write_text("app: 'true'\n")
    meeting = threading.Barrier(2, timeout=30)
    look = Look(Tip("manifests"), (), (), PublishPlan(Action.PUBLISH, "it is new"))

    def meet(*_: object) -> Any:  # noqa: ANN401
        meeting.wait()
        return look

    def copy(*arguments: Any) -> Path:  # noqa: ANN401
        meeting.wait()
        return schedule.checkout_copy(*arguments)

    monkeypatch.setattr(loop, "look", meet)
    monkeypatch.setattr(run, "checkout_copy", copy)
    world = World({}, workspace, private, Shell(), Console(io.StringIO(), Shell()))
    target = Target(None, parse({}), None, {}, (), str, None, is_same_repository=True)  # type: ignore[arg-type]
    assert run._look(world, target, SynthOptions({}, workspace, timeout_s=30)) is look  # noqa: SLF001
    assert (private / "source" / "cdk8s.yaml").is_file()
