"""The numbers /metrics shows, read from plain counters at the moment they are asked for.

Counting costs the hot path an addition; nothing here runs unless somebody looks.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from quecbind.center.access.server import ACCESS_LIMITS, AccessServer
from quecbind.center.access.tls_door import Places
from quecbind.center.services.center import Center
from quecbind.center.services.control import Control
from quecbind.center.services.push import Hub


class CenterCollector(Collector):
    """Devices, connections, messages and events of one running Developer Center."""

    def __init__(
        self, center: Center, access: AccessServer, hub: Hub | None = None, http: Places | None = None
    ) -> None:
        self._center = center
        self._http = http
        self._access = access
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        """See `prometheus_client.registry.Collector`."""
        access, counters = self._access, self._access.counters
        yield _gauge("device_connections", "Open device connections, logged in or not.", access.connection_count)
        yield _gauge("tls_handshakes", "TLS handshakes of devices under way.", access.handshakes.count)
        yield _counter(
            "tls_handshakes_failed", "TLS handshakes of devices that failed.", access.handshakes.failed_count
        )
        yield _gauge("devices_online", "Devices that are logged in.", access.session_count)
        yield _gauge("messages_pending", "Device messages that wait for storage.", access.pending_count)
        yield _counter("log_ins", "Log-ins of devices that were accepted.", counters.log_in_count)
        yield _counter("messages", "Frames received from devices.", counters.message_count)
        yield _counter(
            "messages_unreadable",
            "Messages of devices without a frame, or with one of another topic.",
            counters.unreadable_count,
        )
        yield _counter("commands_sent", "Frames sent to devices by services.", counters.downlink_count)
        ended = CounterMetricFamily(
            "quecbind_connections_ended", "Device connections by why they ended.", labels=["reason"]
        )
        for reason, count in sorted(counters.ended_count_by_reason.items()):
            ended.add_metric([reason], count)
        yield ended
        yield from _control(self._center.control)
        if self._hub is not None:
            yield from _push(self._hub)
        limited = CounterMetricFamily("quecbind_limited", "What was refused or dropped, by limit.", labels=["limit"])
        counted = GaugeMetricFamily(
            "quecbind_limit_keys", "Users, addresses, devices... that a limit counts now.", labels=["limit"]
        )
        refused = Counter({name: limit.refused_count for name, limit in self._center.limit_counters.items()})
        refused.update(dict.fromkeys(ACCESS_LIMITS, 0))
        refused.update(counters.limited_count_by_limit)
        refused["tls_handshakes"] = access.handshakes.refused_count
        if self._http is not None:
            yield _gauge("http_connections", "Open HTTP connections.", self._http.count)
            refused["http_connections"] = self._http.refused_count
        for name, count in sorted(refused.items()):
            limited.add_metric([name], count)
        for name, limit in sorted(self._center.limit_counters.items()):
            counted.add_metric([name], len(limit))
        yield limited
        yield counted
        events = CounterMetricFamily("quecbind_events", "What happened, by event.", labels=["event"])
        for name, count in sorted(self._center.events.count_by_name.items()):
            events.add_metric([name], count)
        yield events


def _control(control: Control) -> Iterable[Metric]:
    yield _gauge("control_under_way", "Commands of users that devices have not acknowledged.", control.under_way_count)
    yield _gauge("control_awaited", "Devices for which commands of users are kept.", control.awaited_count)
    results = CounterMetricFamily("quecbind_control", "Commands of users, by what became of them.", labels=["result"])
    for result, count in sorted(control.count_by_result.items()):
        results.add_metric([result], count)
    yield results


def _push(hub: Hub) -> Iterable[Metric]:
    yield _gauge("push_connections", "Open WebSocket connections of Apps, logged in or not.", hub.connection_count)
    yield _gauge("push_subscriptions", "Devices subscribed to, counted per connection.", hub.subscription_count)
    yield _gauge("push_queued_bytes", "Bytes that wait for Apps to read.", hub.queued_size)
    yield _counter("push_messages", "Messages sent to Apps.", hub.sent_count)
    ended = CounterMetricFamily(
        "quecbind_push_connections_ended", "WebSocket connections by why they ended.", labels=["reason"]
    )
    for reason, count in sorted(hub.ended_count_by_reason.items()):
        ended.add_metric([reason], count)
    yield ended
    limits = GaugeMetricFamily("quecbind_push_limit", "What Apps may take, by setting.", labels=["setting"])
    for field in dataclasses.fields(hub.limits):
        limits.add_metric([field.name], getattr(hub.limits, field.name))
    yield limits


def registry_of(
    center: Center, access: AccessServer, hub: Hub | None = None, http: Places | None = None
) -> CollectorRegistry:
    """Everything this process can be asked about."""
    registry = CollectorRegistry()
    registry.register(CenterCollector(center, access, hub, http))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily("quecbind_" + name, meaning, value=value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily("quecbind_" + name, meaning, value=value)
