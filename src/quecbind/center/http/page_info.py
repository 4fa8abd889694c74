"""The page object of the App API (app-api.md B2, PageInfo). Some Apps read `list` alone, others count to `pages`."""

import msgspec

from quecbind.center.services.views import Page

NAVIGATE_PAGES = 8


class PageInfo(msgspec.Struct, rename="camel"):
    """One page and where it stands among the others. Rows and pages count from 1; 0 means "there is none"."""

    items: list[object] = msgspec.field(name="list")
    total: int
    page_num: int
    page_size: int
    pages: int
    size: int
    start_row: int
    end_row: int
    pre_page: int
    next_page: int
    is_first_page: bool
    is_last_page: bool
    has_previous_page: bool
    has_next_page: bool
    navigate_pages: int
    # Spelt without the inner capital on the platform.
    navigatepage_nums: list[int]
    navigate_first_page: int
    navigate_last_page: int


def page_info(page: Page[object]) -> PageInfo:
    """The PageInfo of `page`."""
    page_count = -(-page.total_count // page.page_size)
    size = len(page.items)
    first_row = (page.page - 1) * page.page_size + 1
    shown = _navigation(page.page, page_count)
    return PageInfo(
        items=page.items,
        total=page.total_count,
        page_num=page.page,
        page_size=page.page_size,
        pages=page_count,
        size=size,
        start_row=first_row if size else 0,
        end_row=first_row + size - 1 if size else 0,
        pre_page=min(page.page - 1, page_count),
        next_page=page.page + 1 if page.page < page_count else 0,
        is_first_page=page.page == 1,
        is_last_page=page.page >= page_count,
        has_previous_page=page.page > 1,
        has_next_page=page.page < page_count,
        navigate_pages=NAVIGATE_PAGES,
        navigatepage_nums=shown,
        navigate_first_page=shown[0] if shown else 0,
        navigate_last_page=shown[-1] if shown else 0,
    )


def _navigation(page: int, page_count: int) -> list[int]:
    first = max(1, min(page - NAVIGATE_PAGES // 2, page_count - NAVIGATE_PAGES + 1))
    return list(range(first, min(first + NAVIGATE_PAGES, page_count + 1)))
