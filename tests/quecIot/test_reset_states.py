"""rst() in every work state a script can see: the next connection, now or after a restart, proves and enrols."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from quecbind.wire import mqtt, signing
from quecIot import _codes
from tests.quecIot.bench import DK, DS, Bench
from tests.quecIot.test_agent_binding import reset


def authenticating(bench: Bench) -> None:
    """It holds a secret on disk, and the Developer Center asked it to authenticate again."""
    bench.ready()
    bench.configure((9, True))
    bench.advance(60)
    bench.open()


def authentication_failed(bench: Bench) -> None:
    authenticating(bench)
    bench.receive(mqtt.Connack(0))
    bench.refuse(10422)


def registration_failed(bench: Bench) -> None:
    bench.connect()
    bench.lose()


def subscription_failed(bench: Bench) -> None:
    bench.connect()
    bench.receive(mqtt.Suback(1, [0x80]))


def deregistering(bench: Bench) -> None:
    bench.ready()
    bench.agent.stop()


def deregistered(bench: Bench) -> None:
    deregistering(bench)
    bench.agent.link_closed()


STATES: dict[int, Callable[[Bench], object]] = {
    _codes.INITIALISED: lambda bench: None,
    _codes.AUTHENTICATING: authenticating,
    # AUTHENTICATED lasts for no time: the secret that arrives registers the device in the same step.
    _codes.AUTHENTICATION_FAILED: authentication_failed,
    _codes.REGISTERING: lambda bench: bench.agent.start(),
    _codes.REGISTERED: lambda bench: bench.connect(),
    _codes.REGISTRATION_FAILED: registration_failed,
    _codes.SUBSCRIBED: lambda bench: bench.ready(),
    _codes.SUBSCRIPTION_FAILED: subscription_failed,
    _codes.DEREGISTERING: deregistering,
    _codes.DEREGISTERED: deregistered,
}


@pytest.mark.parametrize("restarts", [False, True], ids=["goes on", "restarts"])
@pytest.mark.parametrize("state", STATES)
def test_a_reset_in_any_work_state_is_proved_on_the_next_connection(state: int, restarts: bool) -> None:
    bench = Bench()
    STATES[state](bench)
    assert bench.agent.work_state == state

    reset(bench)
    if restarts:
        bench.restart()
    if not bench.agent.mode:
        bench.agent.start()
    packet = bench.open()

    assert (packet.password or b"").startswith(b"0;")
    signing.verify_reset_user_name(packet.user_name or b"", signing.reset_key(DS, DK))
