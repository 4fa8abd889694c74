"""docs/ names every call that is served, and none that is not."""

import re
from pathlib import Path

from quecbind.center.http import binding, ble, control, data, enduser, enterprise, sharing
from quecbind.center.http.operators import OPERATIONS

DOCS = Path(__file__).parents[3] / "docs"
CALL = re.compile(r"(GET|POST|PUT|PATCH|DELETE) `([^`]+)`")


def test_the_app_api_document_lists_the_endpoints_of_the_server() -> None:
    text = (DOCS / "protocol" / "app-api.md").read_text()
    tables = (
        enduser.ENDPOINTS,
        binding.ENDPOINTS,
        data.ENDPOINTS,
        ble.ENDPOINTS,
        control.ENDPOINTS,
        enterprise.ENDPOINTS,
        sharing.ENDPOINTS,
    )
    served = {(row.method, row.path) for table in tables for row in table}

    documented = set()
    for section in text.split("\n## ")[1:]:
        prefix = (re.findall(r"^`(/v2/[^`]+/)`", section, re.MULTILINE) or [""])[0]
        for method, path in CALL.findall(section):
            documented.add((method, path if path.startswith("/") else prefix + path))

    assert documented == served


def test_the_operator_api_document_lists_the_operations_of_the_server() -> None:
    text = (DOCS / "reference" / "operator-api.md").read_text().partition("## Operations")[2]

    documented = {(method, path) for method, path in CALL.findall(text) if path not in {"/healthz", "/metrics"}}

    assert documented == {(row.method, row.path) for row in OPERATIONS}


def test_the_operator_api_document_names_every_choice_of_a_product() -> None:
    text = (DOCS / "reference" / "operator-api.md").read_text()
    (row,) = [row for row in OPERATIONS if (row.method, row.path) == ("POST", "/products")]

    assert [name for name in row.body.__struct_fields__ if f"`{name}`" not in text] == []
