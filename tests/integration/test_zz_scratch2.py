import os, tempfile, shutil
from pathlib import Path
from support.checkouts import Checkout, config_map


def test_snapshot_leak(cli, tmp_path):
    with tempfile.TemporaryDirectory() as f:
        os.chmod(f, 0o755)
        c = Checkout.create(Path(f) / "s", {"a.yaml": config_map("a")})
        (c.path / "secret").write_text("hush-hush")
        app = f"cp rendered/* $CDK8S_OUTDIR/; cat secret; id -u; cat {c.path}/secret"
        for p in (Path(f) / "s", c.path, *c.path.rglob("*")):
            os.chown(p, 1001, 1001, follow_symlinks=False)
        os.chown(c.path / "secret", 0, 0)
        os.chmod(c.path / "secret", 0o600)
        d = Path(f) / "tmp"
        d.mkdir()
        d.chmod(0o755)
        r = cli.run("--install", "none", "--app", app, cwd=c.path, TMPDIR=str(d))
        print(r.text)
        assert "hush-hush" not in r.text
