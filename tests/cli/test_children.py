"""Processes that belong to another: heard, waited for with a limit, always stopped."""

import asyncio
from pathlib import Path

import pytest

from quecbind.cli import children
from quecbind.cli.children import ChildError, Children


@pytest.fixture
def loop_script(tmp_path: Path) -> Path:
    script = tmp_path / "loop.py"
    script.write_text("import sys, time\nprint('ready now', flush=True)\nprint('to stderr', file=sys.stderr)\n")
    return script


async def test_a_line_is_waited_for_and_the_child_stopped(loop_script: Path) -> None:
    heard: list[str] = []
    async with Children() as family:
        child = await family.start("device", "run", str(loop_script), heard=heard.append)

        assert await child.line("ready", 20) == "ready now"
        family.check()
        assert child.is_running()

    assert not child.is_running()
    assert "ready now" in heard


async def test_a_line_that_does_not_come_is_an_error_with_the_last_lines(loop_script: Path) -> None:
    async with Children() as family:
        child = await family.start("device", "run", str(loop_script))
        await child.line("ready", 20)

        with pytest.raises(ChildError, match=r"did not print 'never'(.|\n)*ready now"):
            await child.line("never", 0.1)


async def test_a_child_that_ends_before_its_line_is_an_error_at_once() -> None:
    async with Children() as family:
        child = await family.start("decode", "0009")

        with pytest.raises(ChildError, match=r"ended before(.|\n)*True"):
            await child.line("never", 30)


async def test_a_child_that_should_go_on_is_checked() -> None:
    async with Children() as family:
        child = await family.start("decode", "0009")
        assert await child.end(20) == "1: True (bool)"

        with pytest.raises(ChildError, match="has ended"):
            family.check()
        family.forget(child)
        family.check()


async def test_an_exit_code_is_an_error_with_what_was_said() -> None:
    async with Children() as family:
        child = await family.start("decode", "zz")

        with pytest.raises(ChildError, match=r"exit code 2(.|\n)*hex digits"):
            await child.end(20)


async def test_a_child_that_does_not_end_is_an_error(loop_script: Path) -> None:
    async with Children() as family:
        child = await family.start("device", "run", str(loop_script))

        with pytest.raises(ChildError, match="did not end"):
            await child.end(0.1)


async def test_a_child_that_will_not_stop_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_STOP_WAIT_S", 0.2)
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    async with Children() as family:
        child = await family.start("device", "run", str(stubborn))
        await child.line("ready", 20)

    assert not child.is_running()


async def test_who_cannot_pass_the_lines_on_learns_it_at_once_and_leaves_no_child(loop_script: Path) -> None:
    def pass_on(line: str) -> None:
        raise BrokenPipeError

    started: list[children.Child] = []

    async def work() -> None:
        async with Children() as family:
            started.append(await family.start("device", "run", str(loop_script)))
            started.append(await family.start("device", "run", str(loop_script), heard=pass_on))
            await started[1].line("never", 30)

    with pytest.raises(BrokenPipeError):
        await work()

    assert [child.is_running() for child in started] == [False, False]


async def test_children_are_stopped_when_their_work_is_cancelled(loop_script: Path) -> None:
    started: asyncio.Future[children.Child] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        async with Children() as family:
            child = await family.start("device", "run", str(loop_script))
            await child.line("ready", 20)
            started.set_result(child)
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    child = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not child.is_running()


async def test_our_own_variables_do_not_reach_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUECBIND_DATA", "elsewhere")
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nprint('seen', os.environ.get('QUECBIND_DATA'), os.environ.get('GIVEN'), flush=True)\n"
    )

    async with Children() as family:
        child = await family.start("device", "run", str(script), environment={"GIVEN": "yes"})

        assert await child.line("seen", 20) == "seen None yes"
