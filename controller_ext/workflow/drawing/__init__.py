"""Draws workflows as text: for the terminal, Mermaid, Graphviz' dot, SVG. Pure functions of a Graph or a Definition.

`picture.py` says what there is to see, `layout.py` where it stands, the others how it is written.
"""

from controller_ext.workflow.drawing.formats import dot, mermaid
from controller_ext.workflow.drawing.svg import svg
from controller_ext.workflow.drawing.terminal import terminal

__all__ = ["dot", "mermaid", "svg", "terminal"]
