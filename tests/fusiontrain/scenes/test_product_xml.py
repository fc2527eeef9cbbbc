"""XML of strangers: bounded, without document types."""

import pytest

from fusiontrain.errors import SceneError
from fusiontrain.scenes.products.product_xml import parse_xml, text_of

ENTITY = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a>&e;</a>'
LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    + "]><a>&a11;</a>"
)


def test_namespaces_are_left_out():
    root = parse_xml(b'<n:a xmlns:n="urn:x"><n:b c="1"> 2 </n:b></n:a>', "x.xml")

    assert (root.tag, text_of(root, "b"), root[0].get("c")) == ("a", "2", "1")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [ENTITY, LAUGHS, '<!DOCTYPE a SYSTEM "http://127.0.0.1/x"><a/>'])
def test_a_document_type_is_refused_in_every_encoding(text, encoding):
    """Before an entity is declared: nothing is read, nothing expands."""
    with pytest.raises(SceneError, match=r"x\.xml has a document type; expected plain XML"):
        parse_xml(text.encode(encoding), "x.xml")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<a>" * 100 + b"</a>" * 100, "more than 64 levels"),
        (b"<a><b></a>", "cannot read x.xml: mismatched tag"),
        (b"", "cannot read x.xml: no element found"),
        (b"\x89PNG\r\n", "cannot read x.xml"),
        (b"<a>&undeclared;</a>", "cannot read x.xml: undefined entity"),
    ],
)
def test_what_is_no_xml_is_one_line(data, expected):
    with pytest.raises(SceneError, match=expected):
        parse_xml(data, "x.xml")
