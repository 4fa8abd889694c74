"""What can be stored and sent as text at all."""


def is_text(text: str) -> bool:
    """Whether `text` is free of half surrogate pairs, which JSON lets in and UTF-8 does not let out."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
