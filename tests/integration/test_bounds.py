"""What an app writes may be of any size and shape: the run stays small, and says what is wrong with it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.checkouts import Checkout, config_map

if TYPE_CHECKING:
    from pathlib import Path

    from support.runner import Cli

MEMORY_MAX_MB = 500
ADDRESS_SPACE_MAX = 4 << 30
LOGGED_LINE_MAX = 17_000
MEASURE = f"""
import json, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE_MAX}, {ADDRESS_SPACE_MAX}))
done = subprocess.run(sys.argv[1:], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
text = (done.stdout + done.stderr).decode(errors="replace")
print(json.dumps([done.returncode, used, text]))
"""

RENDER = f'mkdir -p "$CDK8S_OUTDIR"; cd "$CDK8S_OUTDIR"; printf %s \'{config_map("web").decode()}\' > web.yaml; '
DEEP = "for n in $(seq 300); do mkdir $(printf %0200d 0); cd -P $(printf %0200d 0); done; echo > x.yaml"
DEEPER = "python3 -c \"import os\nfor n in range(5000): os.mkdir('a'); os.chdir('a')\nopen('x.yaml', 'w')\""
CONFIG = "apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: a}\\ndata: "
LIST = "apiVersion: v1\\nkind: List\\nitems:\\n- apiVersion: v1\\n  kind: ConfigMap\\n  metadata: {name: a}\\n  data: "


def filled(head: str, word: str, count: int, end: str = "\\n") -> str:
    """Return a command that writes a file with so many equal words."""
    return f"{{ printf '{head}'; yes '{word}' | head -n {count} | tr -d '\\n'; printf '{end}'; }} > x.yaml"


def config(words: int) -> str:
    """Return a command that writes one ConfigMap with a value of so many times eight bytes."""
    return filled(CONFIG + "{a: ", "xxxxxxxx", words, "}\\n")


class Outcome(NamedTuple):
    """How a run ended, how much memory its biggest process took, and what it said."""

    code: int
    used_mb: int
    text: str


def measured(cli: Cli, checkout: Checkout, app: str, *args: str) -> Outcome:
    """Run an app and measure; the program itself must not take more memory than is promised."""
    done = subprocess.run(
        (sys.executable, "-c", MEASURE, *map(str, cli.program), "run", "--install", "none", "--app", app, *args),
        cwd=checkout.path,
        env=cli.environ(),
        capture_output=True,
        timeout=280,
        check=True,
    )
    outcome = Outcome(*json.loads(done.stdout))
    assert outcome.used_mb <= MEMORY_MAX_MB, f"{outcome.used_mb} MB\n{outcome.text[:5000]}"
    assert max(map(len, outcome.text.splitlines())) <= LOGGED_LINE_MAX
    assert "internal error" not in outcome.text.lower()
    assert cli.left_behind() == []
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("truncate -s 300M zeros.bin", "zeros.bin has 314,572,800 bytes"),
        ("truncate -s 1T x.yaml", "x.yaml has 1,099,511,627,776 bytes"),
        ("truncate -s 60M a; truncate -s 60M b", "more than 100,000,000 bytes"),
        (config(140 << 17), "x.yaml has 146,800,"),
        (config(90 << 17), "a document of 94,371,"),
        (filled(CONFIG + "[", "aa,", 5 << 20, "]\\n"), "more than 500,000 values"),
        (filled(LIST + "[", "aa,", 490_000, "]\\n") + "; truncate -s 300M zeros.bin", "zeros.bin"),
        ("seq -f %.0f.txt 150000 | xargs touch", "more than 100,000 files"),
        (DEEP, "is nested too deeply"),
        (DEEPER, "is nested too deeply"),
    ],
    ids=["zeros", "sparse", "total", "file", "document", "values", "list", "number", "names", "folders"],
)
def test_output__beyond_every_measure_is_a_finding__d1_d2_d3_d11(
    checkout: Checkout, cli: Cli, app: str, words: str
) -> None:
    done = measured(cli, checkout, RENDER + app)
    assert done.code == 4, done.text[-5000:]
    assert words in done.text
    assert checkout.origin.tip("manifests") is None


def test_output__of_honest_size_is_published__d1_d11(checkout: Checkout, cli: Cli) -> None:
    app = (
        f"truncate -s 90M zeros.bin; {config(1 << 17)}; "
        f"d=$(printf %0250d 0); mkdir -p $d/$d/$d/$d; echo '# far away' > $d/$d/$d/$d/y.yaml; "
        "printf 'some\\0text' > zero.txt"
    )
    done = measured(cli, checkout, RENDER + app)
    assert done.code == 0, done.text[-5000:]
    assert "0 bytes before, 94,371,840 bytes after, not text" in done.text
    assert "0 bytes before, 9 bytes after, not text" in done.text
    files = checkout.origin.files("manifests")
    assert len(files["dist/zeros.bin"]) == 90 << 20
    assert len(files["dist/x.yaml"]) > 1 << 20
    checkout.origin.fsck()


def test_diff__of_a_long_text_is_left_out_with_its_sizes__d1(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    app = config(3 << 17)
    done = measured(cli, checkout, RENDER + app, "--diff-file", str(tmp_path / "x.diff"))
    assert done.code == 0, done.text[-5000:]
    diff = (tmp_path / "x.diff").read_text()
    assert "# added: ConfigMap a\n" in diff
    assert "# No diff: 0 bytes before, 3,145," in diff
    assert "+  name: web" in diff


def test_log__cuts_a_long_line__d1(checkout: Checkout, cli: Cli, tmp_path: Path) -> None:
    app = config(1 << 16)
    done = measured(cli, checkout, RENDER + app, "--diff-file", str(tmp_path / "x.diff"))
    assert done.code == 0, done.text[-5000:]
    assert "more characters" in done.text
    assert "x" * (1 << 19) in (tmp_path / "x.diff").read_text()


def test_configuration__that_nests_without_end_is_an_input__d4(checkout: Checkout, cli: Cli) -> None:
    for size in (5_000, 19_000, 2_000_000):
        checkout.write("cdk8s.yaml", b"app: " + b"[" * size)
        done = cli.run("run", cwd=checkout.path).exits(2)
        assert "cdk8s.yaml" in done.text


MANY = b"""import os, sys
value = f"some more text, and it is {sys.argv[1]} " * 70
with open(os.environ["CDK8S_OUTDIR"] + "/x.yaml", "w") as file:
    for number in range(40000):
        head = "---\\napiVersion: v1\\nkind: ConfigMap\\nmetadata:\\n  name: a"
        print(f"{head}{number}\\ndata:\\n  a: '{value}'", file=file)
"""


@pytest.mark.slow
def test_output__replaced_as_a_whole_stays_small__d1(checkout: Checkout, cli: Cli) -> None:
    """Some 85 MB on either side: the review reads all of both, and shows a part."""
    checkout.write("many.py", MANY)
    checkout.commit("Render much")
    for turn in ("a", "b"):
        assert measured(cli, checkout, f'mkdir -p "$CDK8S_OUTDIR"; python3 many.py {turn}').code == 0
