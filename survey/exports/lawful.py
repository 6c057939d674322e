"""Text as XML 1.0 allows it."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

_UNLAWFUL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def lawful_xml(root: Element) -> str:
    r"""Return a document without the characters that XML forbids even escaped: text from data may hold any.

    Examples
    --------
    >>> from xml.etree.ElementTree import Element
    >>> lawful_xml(Element("a", {"b": "red\x1b<"}))
    '<a b="red&lt;" />'
    """
    return _UNLAWFUL.sub("", tostring(root, encoding="unicode"))
