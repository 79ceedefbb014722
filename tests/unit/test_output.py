"""What an app leaves beside its manifests, read with distrust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdk8s_publish.errors import SynthError
from cdk8s_publish.render.output import MAX_REPORT_BYTES, validation_findings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[" * 200_000,
        b"[]",
        b'{"reports": 7}',
        b'{"reports": [7]}',
        b'{"reports": [{"summary": 7, "violations": [{"violatingConstructs": [{}]}]}]}',
        b" " * MAX_REPORT_BYTES + b'{"reports": []}',
    ],
    ids=["empty", "nested", "list", "number", "numbers", "summary", "long"],
)
def test_validation_report__that_is_none_is_the_apps_fault__d2(tmp_path: Path, report: bytes) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(report)
    with pytest.raises(SynthError, match="report of the validation plugins"):
        validation_findings(file, tmp_path, [tmp_path])


def test_validation_report__without_a_violation_says_nothing__d2(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert validation_findings(file, tmp_path, [tmp_path]) == ()
    file.write_bytes(b'{"reports": []}')
    assert validation_findings(file, tmp_path, [tmp_path]) == ()
