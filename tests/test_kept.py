"""Machine code on disk: what is damaged or finds no room means a build or an error, no crash."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from test_builders import device, job  # noqa: F401 (a fixture)

from lowering.errors import KernelBuildError
from lowering.plan import Program
from lowering.pocl import builders, kept, messages
from lowering.runtime import drivers, programs

pytestmark = pytest.mark.driver

PROGRAM = """
import fx, fx.numpy as jnp
print(float(fx.jit(lambda x: jnp.tanh(x * 3).sum() * 0 + x.sum())(jnp.arange(1000.0))))
"""


def run(folder, **env):
    env = os.environ | {"FX_CACHE_DIR": f"{folder}/fx", "POCL_CACHE_DIR": f"{folder}/pocl"} | env
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=env,
                          timeout=600)  # fmt: skip
    return done.returncode, done.stdout


DAMAGES = {
    "cut": lambda path, data: path.write_bytes(data[: len(data) // 2]),
    "empty": lambda path, data: path.write_bytes(b""),
    "one bit": lambda path, data: path.write_bytes(
        data[:4100] + bytes([data[4100] ^ 4]) + data[4101:]
    ),
    "no mark, cut": lambda path, data: path.write_bytes(data[:-100]),
    "a folder": lambda path, data: (path.unlink(), path.mkdir()),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Caches of a process that has run the program."""
    folder = tmp_path_factory.mktemp("caches")
    assert run(folder) == (0, "499500.0\n")
    if not list(folder.rglob("fx_*.so")):
        pytest.skip("needs the PoCL that has the short way")
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_machine_code_is_made_again(damage, filled, tmp_path):
    shutil.copytree(filled, tmp_path / "caches")
    for path in (tmp_path / "caches").rglob("fx_*.so"):
        DAMAGES[damage](path, path.read_bytes())
    for _ in range(2):
        assert run(tmp_path / "caches") == (0, "499500.0\n")


def test_what_pocl_wrote_is_marked_when_it_is_seen(device, tmp_path):  # noqa: F811
    assert run(tmp_path, FX_BUILDERS="0", FX_DEVICE="pocl") == (0, "499500.0\n")
    (path,) = tmp_path.rglob("fx_*.so")
    plain = path.read_bytes()
    kernel = str(path.parent.parent)
    assert kept.only_whole(kernel) and kept.only_whole(kernel)
    assert path.read_bytes()[: len(plain)] == plain and len(path.read_bytes()) == len(plain) + 12
    assert run(tmp_path, FX_BUILDERS="0", FX_DEVICE="pocl") == (0, "499500.0\n")


def test_a_disk_that_fills_up_while_code_is_moved_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "code").write_bytes(b"x" * 100)
    monkeypatch.setattr(kept.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        kept.place(str(tmp_path / "code"), str(tmp_path / "there"))
    assert [p.name for p in tmp_path.iterdir()] == ["code"]


def test_a_full_disk_is_an_error_before_pocl_ends_the_process(device, monkeypatch):  # noqa: F811
    def full(*_):
        raise OSError(28, "No space left on device")

    text = "__kernel void fx(const int stage, __global float *x) { if (stage == 0) x[0] += 7.5f; }"
    with monkeypatch.context() as patched:
        patched.setattr(drivers.os, "posix_fallocate", full)
        with pytest.raises(KernelBuildError, match=r"No space left.*POCL_CACHE_DIR"):
            programs.build(device, Program(text, "-w"))
    assert programs.build(device, Program(text, "-w")).suffix


def test_a_full_cache_is_replaced_by_a_folder_elsewhere(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("POCL_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(drivers.os, "posix_fallocate", full)
    with pytest.warns(drivers.CacheWarning, match="No space left on device"):
        drivers.place_pocls_cache()
    assert os.environ["POCL_CACHE_DIR"] != str(tmp_path)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_stopped_builder_is_given_up(device, monkeypatch, jobs):  # noqa: F811
    monkeypatch.setattr(messages, "STOPPED", 1)
    builders.prepare(2)
    while not all(b.ready for b in builders._builders):
        pass
    stopped = list(builders._builders)
    for b in stopped:
        os.kill(b.process.pid, signal.SIGSTOP)
    codes = builders.share([job(k) for k in range(100, 100 + jobs)])
    assert [code is not None for code in codes] == [jobs > 1] * jobs  # a single one is built here
    given_up = stopped if jobs > 1 else stopped[:1]
    assert all(b.process.wait(20) == -signal.SIGKILL for b in given_up)


def test_a_message_longer_than_a_pipe_to_a_stopped_process(monkeypatch):
    monkeypatch.setattr(messages, "STOPPED", 1)
    process = subprocess.Popen(["sleep", "60"], bufsize=0, stdin=subprocess.PIPE)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError, match="does nothing"):
            messages.send(process.stdin, b"x" * (1 << 20), process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()  # type: ignore[union-attr]
