"""Network, card and module: ready at once, and to be told from real ones."""

from __future__ import annotations

from tests.testing.quecpython.conftest import Called


def test_the_network_is_ready_at_once(module) -> None:
    assert module("checkNet").waitNetworkReady(30) == (3, 1)
    assert module("net").getModemFun() == 1
    assert 0 <= module("net").csqQueryPoll() <= 31
    assert [state[0] for state in module("net").getState()] == [1, 1]
    assert module("dataCall").getInfo(1, 0) == (1, 0, [1, 0, "127.0.0.1", "0.0.0.0", "0.0.0.0"])
    assert module("sim").getStatus() == 1


def test_switching_the_radio_takes_the_network_and_tells_who_asked(module) -> None:
    net, called = module("net"), Called(2)
    assert module("dataCall").setCallback(called) == 0

    net.setModemFun(0)
    off = (
        module("checkNet").waitNetworkReady(30),
        net.csqQueryPoll(),
        net.operatorName(),
        module("dataCall").getInfo(1, 0)[2][:3],
    )
    net.setModemFun(1)

    assert off == ((2, 0), 99, -1, [0, 0, "0.0.0.0"])
    assert called.wait() == [[1, 0], [1, 1]]
    assert module("checkNet").waitNetworkReady() == (3, 1)
    assert net.setModemFun(7) == -1


def test_what_is_made_up_is_of_the_test_network_or_says_so(module) -> None:
    assert module("sim").getImsi().startswith("00101")
    assert module("net").operatorName()[2:] == ("001", "01")
    assert not module("modem").getDevImei().strip("01")
    assert module("modem").getDevModel() == "STAND-IN"
    assert module("sim").getPhoneNumber() == -1


def test_an_access_point_is_remembered(module) -> None:
    data_call = module("dataCall")

    assert data_call.setPDPContext(1, 0, "internet", "", "", 0) == 0
    assert data_call.getPDPContext(1) == (0, "internet", "", "", 0)
    assert (data_call.setPDPContext(9, 0, "", "", "", 0), data_call.getPDPContext(9)) == (-1, -1)
    assert data_call.startCall(1, 0, "other", "", "", 0) == 0
    assert data_call.getApn() == "other"


def test_the_older_form_of_checkNet_prints_and_waits(module, capsys) -> None:
    checker = module("checkNet").CheckNetwork("lamp", "1.0.0")

    checker.poweron_print_once()

    assert "PROJECT_NAME     : lamp" in capsys.readouterr().out
    assert checker.wait_network_connected(60) == (3, 1)


def test_power_is_asked_of_whoever_runs_the_script(module, power) -> None:
    Power = module("misc").Power

    Power.powerRestart()
    Power.powerDown()

    assert power == ["restart", "down"]
    assert (Power.powerOnReason(), Power.powerDownReason(), Power.getVbatt()) == (0, 0, 3300)
    assert module("misc").ADC().read(module("misc").ADC.ADC0) == 0
    assert module("misc").PowerKey().powerKeyEventRegister(print) == 0


def test_wake_locks_are_counted(module) -> None:
    pm = module("pm")
    before = pm.get_wakelock_num()

    lock = pm.create_wakelock("lock", 4)

    assert pm.get_wakelock_num() == before + 1
    assert (pm.wakelock_lock(lock), pm.wakelock_unlock(lock), pm.delete_wakelock(lock)) == (0, 0, 0)
    assert (pm.wakelock_lock(lock), pm.delete_wakelock(lock), pm.autosleep(1)) == (-1, -1, 0)
