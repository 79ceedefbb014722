"""Our render against `cdk8s synth` with its upgrade check off: one app, many resources, many apps, nothing changed.

    python bench/apps.py [repetitions]

The ways take turns, so that a busy machine slows all of them, and the median counts. "CPU" is that of the whole
process tree, "peak" that of its largest process. A ratio is our wall time divided by the other one's, in the same run.
"app" is what dominates: the share of our wall time that the app command takes when nobody is around it.

Caches are warm on both sides: `cdk8s synth` has those of the home folder, we have the folder of `cache-dir`.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
OURS = (sys.executable, str(ROOT / "entrypoint.py"))
ENVIRON = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PATH": os.pathsep.join([str(ROOT / ".tools" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
    "CDK8S_CHECK_UPGRADE": "false",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
CACHE: dict[str, str] = {}
"""Our variable that names the cache, once there is a folder for it."""
TIMEOUT_S = 600
CRD = ROOT / "examples" / "typescript" / "crds" / "maintenancewindow.yaml"

JAVASCRIPT = """
const {{ App, Chart, ApiObject }} = require('cdk8s');
const app = new App();
const chart = new Chart(app, 'chart');
for (let i = 0; i < {count}; i++) {{
  const metadata = {{ name: `config-${{i}}`, labels: {{ turn: '{turn}' }} }};
  new ApiObject(chart, `config-${{i}}`, {{ apiVersion: 'v1', kind: 'ConfigMap', metadata }});
}}
app.synth();
"""
PYTHON = """
from cdk8s import ApiObject, ApiObjectMetadata, App, Chart
app = App()
chart = Chart(app, "chart")
for i in range({count}):
    metadata = ApiObjectMetadata(name=f"config-{{i}}", labels={{"turn": "{turn}"}})
    ApiObject(chart, f"config-{{i}}", api_version="v1", kind="ConfigMap", metadata=metadata)
app.synth()
"""
TYPESCRIPT = """
import {{ ApiObject, App, Chart }} from 'cdk8s';
const app = new App();
const chart = new Chart(app, 'chart');
for (let i = 0; i < {count}; i++) {{
  const metadata = {{ name: `config-${{i}}`, labels: {{ turn: '{turn}' }} }};
  new ApiObject(chart, `config-${{i}}`, {{ apiVersion: 'v1', kind: 'ConfigMap', metadata }});
}}
app.synth();
"""


@dataclass(frozen=True)
class Language:
    """How an app is written and run; `modules` is the `node_modules` that it needs."""

    file: str
    template: str
    command: str
    modules: Path


MODULES = ROOT / ".tools" / "npm" / "node_modules"
LANGUAGES = {
    "JavaScript": Language("main.js", JAVASCRIPT, "node main.js", MODULES),
    "Python": Language("main.py", PYTHON, f"{sys.executable} main.py", MODULES),
}


@dataclass(frozen=True)
class Cost:
    """What a way took, in seconds; `memory` is the largest process's peak, in MiB."""

    wall: float
    cpu: float
    memory: int


def call(argv: Sequence[str], cwd: Path, **env: str) -> Cost:
    """Run one command to its end; a failure of it ends the benchmark."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(argv, cwd=cwd, env={**ENVIRON, **env}, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{' '.join(argv)} failed:\n{errors.read().decode(errors='replace')}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10)


def write_source(folder: Path, language: Language, count: int, turn: int = 0) -> None:
    """Write an app of `count` resources."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / language.file).write_text(language.template.format(count=count, turn=turn))
    (folder / "cdk8s.yaml").write_text(f"app: {language.command}\n")


def write_app(folder: Path, language: Language, count: int) -> None:
    """Write an app of `count` resources whose dependencies are installed."""
    write_source(folder, language, count)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(language.modules)


def install_typescript(folder: Path) -> Language:
    """Install what the TypeScript example's lock file says."""
    example = ROOT / "examples" / "typescript"
    for name in ("package.json", "package-lock.json"):
        shutil.copy(example / name, folder)
    call(("npm", "ci", "--no-audit", "--no-fund"), folder)
    return Language("main.ts", TYPESCRIPT, "npx ts-node main.ts", folder / "node_modules")


def alone(language: Language) -> Callable[[Path], Cost]:
    """Return the way that runs the app command and nothing else."""
    return lambda folder: call(("sh", "-c", language.command), folder, CDK8S_OUTDIR=f"{folder}.out")


def theirs(folder: Path) -> Cost:
    """Run `cdk8s synth`."""
    return call(("cdk8s", "synth"), folder)


def ours(folder: Path) -> Cost:
    """Run our render, without a target branch."""
    return call((*OURS, "generate", "--install", "none"), folder, **CACHE)


def many(folder: Path) -> Cost:
    """Render all apps below a folder in one run."""
    argv = (*OURS, "generate", "--install", "none", "--working-directory", "apps/*", "--path", "{app}")
    return call(argv, folder, **CACHE)


def one_by_one(way: Callable[[Path], Cost]) -> Callable[[Path], Cost]:
    """Run a way in every app's folder, one after the other."""

    def run(folder: Path) -> Cost:
        costs = [way(app) for app in sorted((folder / "apps").iterdir())]
        return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs), max(c.memory for c in costs))

    return run


def publish(folder: Path, language: Language, *options: str) -> Cost:
    """Install the dependencies of all apps and publish them to the folder's own remote."""
    install = f"ln -s {language.modules} node_modules"
    fixed = ("--working-directory", "apps/*", "--path", "{app}", "--install", install)
    return call((*OURS, "run", *fixed, *options), folder, **CACHE)


def make_checkout(folder: Path) -> None:
    """Make a folder the checkout of a remote beside it."""
    git = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com")
    for argv in (
        ("git", "init", "-q", "--bare", f"{folder}.git"),
        ("git", "init", "-q", "-b", "main"),
        ("git", "remote", "add", "origin", f"{folder}.git"),
        ("git", "add", "-A"),
        (*git, "commit", "-qm", "Bench"),
        ("git", "push", "-q", "origin", "main"),
    ):
        call(argv, folder)


def measure(folder: Path, ways: Mapping[str, Callable[[Path], Cost]], repetitions: int) -> dict[str, Cost]:
    """Return the median cost of each way; they take turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            costs[name].append(way(folder))
    return {name: middle(found) for name, found in costs.items()}


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the cost whose wall time is the median."""
    return sorted(costs, key=lambda cost: cost.wall)[len(costs) // 2]


def show(title: str, costs: Mapping[str, Cost], reference: str, aim: float | None = None) -> None:
    """Print one line of the table: the first way against the reference."""
    first, other = next(iter(costs.values())), costs[reference]
    goal = f"{aim:5.2f}" if aim else "     "
    share = f"{costs['alone'].wall / first.wall:5.0%}" if "alone" in costs else ""
    print(
        f"{title:42} {first.wall:7.2f} {other.wall:7.2f}  {first.wall / other.wall:5.2f} {goal}   "
        f"{first.cpu:7.2f} {other.cpu:7.2f}   {first.memory:5} {other.memory:5}   {share}",
        flush=True,
    )


def single(base: Path, repetitions: int) -> None:
    """One app, few and many resources."""
    for name, small, large in (("JavaScript", 0.25, 0.5), ("Python", 0.6, 0.8)):
        language = LANGUAGES[name]
        for count, aim in ((1, small), (1000, large), (10_000, None)):
            folder = base / f"{name}-{count}"
            write_app(folder, language, count)
            ways = {"ours": ours, "cdk8s synth": theirs, "alone": alone(language)}
            costs = measure(folder, ways, repetitions if count <= 1000 else 1)  # noqa: PLR2004
            show(f"{name}, {count} resources", costs, "cdk8s synth", aim)


def several(base: Path, repetitions: int, languages: Mapping[str, Language]) -> None:
    """Apps of the two most used languages, side by side, against `cdk8s synth` for one after the other."""
    for name in ("Python", "TypeScript"):
        for count in (1, 10, 50):
            folder = base / f"{name}-apps-{count}"
            for number in range(count):
                write_app(folder / "apps" / f"app-{number}", languages[name], 10)
            ways = {"ours": many, "cdk8s synth": one_by_one(theirs)}
            costs = measure(folder, ways, repetitions if count == 1 else 1)
            show(f"{count} {name} app{'s' * (count > 1)}, against cdk8s synth in turn", costs, "cdk8s synth")


def twenty(base: Path, repetitions: int, language: Language) -> None:
    """Twenty apps in one run, against one after the other."""
    folder = base / "twenty"
    for number in range(20):
        write_app(folder / "apps" / f"app-{number}", language, 10)
    ways = {"ours": many, "cdk8s synth, each": one_by_one(theirs), "ours, each": one_by_one(ours)}
    costs = measure(folder, ways, max(1, repetitions // 2))
    show("20 apps, against cdk8s synth in turn", costs, "cdk8s synth, each", 0.5)
    show("20 apps, against our own runs in turn", costs, "ours, each", 0.75)


def hermetic(base: Path, repetitions: int, name: str, language: Language) -> None:
    """Fifty apps, published again when one or none of them changed.

    The aims are set for Python and TypeScript. JavaScript is the hardest case: such an app is done sooner than the git
    commands of a publish.
    """
    aim = None if name == "JavaScript" else 0.1
    folder = base / f"{name}-hermetic"
    for number in range(50):
        write_source(folder / "apps" / f"app-{number}", language, 10)
    make_checkout(folder)
    full = publish(folder, language, "--hermetic", "true")
    unchanged, one = [], []
    for turn in range(1, repetitions + 1):
        unchanged.append(publish(folder, language, "--hermetic", "true"))
        write_source(folder / "apps" / "app-7", language, 10, turn)
        one.append(publish(folder, language, "--hermetic", "true"))
    show(f"50 hermetic {name} apps, none changed", {"ours": middle(unchanged), "all": full}, "all", aim)
    show(f"50 hermetic {name} apps, one changed", {"ours": middle(one), "all": full}, "all", aim)


def imports(base: Path, repetitions: int) -> None:
    """Hold what generated imports add to a run, once they are in the cache, against `cdk8s import`."""
    folder, language = base / "imports", LANGUAGES["JavaScript"]
    write_app(folder, language, 1)
    shutil.copy(CRD, folder)
    (folder / "cdk8s.yaml").write_text(f"language: typescript\napp: {language.command}\nimports:\n  - {CRD.name}\n")
    ours(folder)
    cached = measure(folder, {"ours": ours}, repetitions)["ours"]
    command = measure(folder, {"import": lambda app: call(("cdk8s", "import"), app)}, repetitions)["import"]
    present = measure(folder, {"ours": ours}, repetitions)["ours"]
    added = Cost(max(0.0, cached.wall - present.wall), max(0.0, cached.cpu - present.cpu), cached.memory)
    show("imports from the cache, against cdk8s import", {"ours": added, "import": command}, "import", 0.05)


def first_line(repetitions: int) -> None:
    """Print how long it takes until whoever watches the log sees something."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        with subprocess.Popen((*OURS, "run"), cwd="/", env=ENVIRON, stdout=-1, stderr=-1, text=True) as process:
            if process.stdout and process.stdout.readline():
                times.append(time.perf_counter() - start)
            process.communicate()
    print(f"first line of the log after {statistics.median(times):.2f} s (aim 0.15)")


def main(argv: list[str]) -> None:
    """Print the table."""
    repetitions = int(argv[0]) if argv else 3
    base = Path(tempfile.mkdtemp(prefix="bench-apps-"))
    CACHE["INPUT_CACHE_DIR"] = str(base / "cache")
    print(f"{'':42} {'wall, s':>15}  {'ratio':>5}  {'aim':>4}   {'CPU, s':>15}   {'peak, MiB':>11}   {'app':>5}")
    print(f"{'':42} {'ours':>7} {'other':>7}  {'':11}  {'ours':>8} {'other':>7}   {'ours':>5} {'other':>5}")
    try:
        first_line(repetitions)
        single(base, repetitions)
        imports(base, repetitions)
        twenty(base, repetitions, LANGUAGES["JavaScript"])
        (base / "typescript").mkdir()
        languages = {**LANGUAGES, "TypeScript": install_typescript(base / "typescript")}
        for name, language in languages.items():
            hermetic(base, repetitions, name, language)
        several(base, repetitions, languages)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
