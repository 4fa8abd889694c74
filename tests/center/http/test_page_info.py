"""The page object: as the platform's, number for number."""

import msgspec
import pytest

from quecbind.center.http.page_info import page_info
from quecbind.center.services.views import Page


def described(total: int, page: int, page_size: int) -> dict[str, object]:
    size = max(0, min(page_size, total - (page - 1) * page_size))
    return msgspec.to_builtins(page_info(Page(list(range(size)), page, page_size, total)))


def test_the_first_of_three() -> None:
    assert described(25, 1, 10) == {
        "list": list(range(10)),
        "total": 25,
        "pageNum": 1,
        "pageSize": 10,
        "pages": 3,
        "size": 10,
        "startRow": 1,
        "endRow": 10,
        "prePage": 0,
        "nextPage": 2,
        "isFirstPage": True,
        "isLastPage": False,
        "hasPreviousPage": False,
        "hasNextPage": True,
        "navigatePages": 8,
        "navigatepageNums": [1, 2, 3],
        "navigateFirstPage": 1,
        "navigateLastPage": 3,
    }


@pytest.mark.parametrize(
    ("total", "page", "page_size", "expected"),
    [
        (25, 3, 10, {"size": 5, "startRow": 21, "endRow": 25, "prePage": 2, "nextPage": 0, "isLastPage": True}),
        (20, 2, 10, {"pages": 2, "size": 10, "startRow": 11, "endRow": 20, "hasNextPage": False}),
        (0, 1, 10, {"pages": 0, "size": 0, "startRow": 0, "endRow": 0, "isFirstPage": True, "isLastPage": True}),
        (0, 1, 10, {"navigatepageNums": [], "navigateFirstPage": 0, "navigateLastPage": 0, "nextPage": 0}),
        (5, 9, 10, {"pages": 1, "size": 0, "startRow": 0, "isLastPage": True, "prePage": 1, "nextPage": 0}),
        (200, 10, 10, {"navigatepageNums": [6, 7, 8, 9, 10, 11, 12, 13]}),
        (200, 1, 10, {"navigatepageNums": [1, 2, 3, 4, 5, 6, 7, 8]}),
        (200, 20, 10, {"navigatepageNums": [13, 14, 15, 16, 17, 18, 19, 20]}),
        (3, 2, 1, {"pages": 3, "startRow": 2, "endRow": 2, "navigatepageNums": [1, 2, 3]}),
    ],
)
def test_other_pages(total: int, page: int, page_size: int, expected: dict[str, object]) -> None:
    assert described(total, page, page_size).items() >= expected.items()
