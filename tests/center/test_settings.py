"""Every setting is a flag and a variable; what is outside its range is refused with a sentence."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest

from quecbind.center.domain.limits import Limits
from quecbind.center.settings import Settings, SettingsError, add_flags, load, strange_variables


def parse(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return vars(parser.parse_args(arguments))


def test_without_flags_and_environment_the_defaults_hold() -> None:
    assert load(parse(), {}) == Settings()


def test_by_default_only_this_machine_is_listened_to() -> None:
    assert Settings().host == "127.0.0.1"


def test_the_rules_keep_their_own_defaults() -> None:
    assert Settings().limits == Limits()


def test_the_limits_of_the_rules_can_be_chosen() -> None:
    assert load(parse("--max-guesses-per-user", "3"), {}).limits == Limits(max_guesses_per_user=3)


def test_every_setting_is_a_flag_and_a_variable() -> None:
    parser = argparse.ArgumentParser()

    add_flags(parser)

    help_text = " ".join(parser.format_help().split())
    for field in dataclasses.fields(Settings):
        name = field.name.removesuffix("_s")
        assert "--" + name.replace("_", "-") in help_text
        assert f"QUECBIND_{name.upper()}" in help_text


def test_the_help_shows_what_kind_of_value_is_wanted() -> None:
    parser = argparse.ArgumentParser()

    add_flags(parser)

    shown = " ".join(parser.format_help().split())
    for flag in (
        *("--max-guesses-per-user N", "--log-in-time S", "--smtp-port PORT", "--tls-key FILE", "--data DIR"),
        "--mqtts-client-cert required|optional",
    ):
        assert f"[{flag}]" in shown


def test_a_variable_that_is_no_setting_is_found_and_those_of_other_commands_are_not() -> None:
    environ = {
        "QUECBIND_MAX_GUESES_PER_USER": "1",
        "QUECBIND_MAX_GUESSES_PER_USER": "1",
        "QUECBIND_LOG_IN_TIME": "9",
        "QUECBIND_APP_URL": "u",
        "QUECBIND_WIFI_PASSWORD": "w",
        "QUECBIND_MASTER_KEY": "k",
        "HOME": "/",
    }

    assert strange_variables(environ) == ["QUECBIND_MAX_GUESES_PER_USER"]


def test_a_flag_wins_over_its_variable() -> None:
    settings = load(parse("--mqtt-port", "1884"), {"QUECBIND_MQTT_PORT": "1885", "QUECBIND_HTTP_PORT": "8081"})

    assert (settings.mqtt_port, settings.http_port) == (1884, 8081)


def test_an_empty_variable_counts_as_absent() -> None:
    assert load(parse(), {"QUECBIND_MQTT_PORT": "", "QUECBIND_LAN_HOST": ""}) == Settings()


def test_all_contract_flags_are_read() -> None:
    settings = load(
        parse(
            *("--data", "d", "--host", "0.0.0.0", "--http-port", "0", "--mqtt-port", "0", "--mqtts-port", "8883"),
            *("--tls-cert", "c.pem", "--tls-key", "k.pem", "--lan-host", "center.lan"),
        ),
        {},
    )

    assert settings == Settings(
        data=Path("d"),
        host="0.0.0.0",
        http_port=0,
        mqtt_port=0,
        mqtts_port=8883,
        tls_cert=Path("c.pem"),
        tls_key=Path("k.pem"),
        lan_host="center.lan",
    )


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("QUECBIND_MQTT_PORT", "65536", "QUECBIND_MQTT_PORT must be a whole number from 0 to 65535, not '65536'"),
        ("QUECBIND_MQTT_PORT", "-1", "must be a whole number"),
        ("QUECBIND_MQTT_PORT", "1_0", "must be a whole number"),
        ("QUECBIND_MQTT_PORT", "\uff11", "must be a whole number"),
        ("QUECBIND_HOST", "a b", "must be a host name or an IP address"),
        ("QUECBIND_LAN_HOST", "http://x", "must be a host name or an IP address"),
        ("QUECBIND_LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
        ("QUECBIND_SMTP_TLS", "maybe", "must be one of starttls, tls, none"),
        ("QUECBIND_MAX_CONNECTIONS", "0", "must be a whole number from 1"),
        ("QUECBIND_LOG_IN_TIME", "1.5", "must be a whole number from 1 to 300"),
        ("QUECBIND_DATA", "a\0b", "must not be empty"),
    ],
)
def test_a_value_outside_its_range_is_refused_with_a_sentence(variable: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load({}, {variable: text})


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--tls-cert", "c"], "belong together"),
        (["--tls-key", "k"], "belong together"),
        (["--mqtts-port", "8883"], "needs --tls-cert and --tls-key"),
        (["--tls-cert", "c", "--tls-key", "k"], "give --mqtts-port or --https-port too"),
        (["--https-port", "8443"], "needs --tls-cert and --tls-key"),
        (["--http-port", "none"], "needs --https-port"),
        (["--mqtt-port", "none"], "needs --mqtts-port"),
        (["--mqtts-client-ca", "ca"], "give --mqtts-port too"),
        (["--http-port", "1883"], "must differ"),
        (["--smtp-host", "mail.example.org"], "needs --smtp-from"),
        (["--smtp-user", "me"], "belong together"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(parse(*flags), {})


def test_several_ports_may_be_left_to_the_system() -> None:
    assert load(parse("--http-port", "0", "--mqtt-port", "0"), {}).http_port == 0


def test_a_password_is_never_shown() -> None:
    settings = load({}, {"QUECBIND_SMTP_USER": "me", "QUECBIND_SMTP_PASSWORD": "hunter2"})

    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        load({}, {"QUECBIND_SMTP_PASSWORD": "hunter2\0"})
    assert "hunter2" not in str(refused.value)
