"""An HTML page as a browser reads it: elements and text."""

import base64
import re
from html.parser import HTMLParser

VOID = {"meta", "img", "link", "input"}


class Reader(HTMLParser):
    """Collects the elements of a page and checks that each one is closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def sources(self, tag):
        """Decoded contents of the data URIs of all elements of a kind."""
        uris = [attributes["src"] for name, attributes in self.elements if name == tag]
        return [base64.b64decode(re.fullmatch(r"data:[\w/0-9]+;base64,(.*)", uri).group(1)) for uri in uris]
