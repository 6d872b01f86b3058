"""Tables of report.html."""

import html


def table(head, rows):
    """Return a table as HTML.

    Parameters
    ----------
    head : iterable of str
    rows : iterable of iterable
        Cells, written as text.

    Returns
    -------
    str
    """
    head = "".join(f"<th>{html.escape(text)}" for text in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}" for cell in row) for row in rows)
    return f"<table><tr>{head}{body}</table>"
