"""A drawing as mermaid, which forges show in markdown and people can take apart."""

from __future__ import annotations

import json

from diagrams.graph import Box, Drawing


def mermaid(drawing: Drawing) -> str:
    """The text of a .mmd file; ids are told apart by the group's number."""
    lines = ["---", f"title: {json.dumps(drawing.title)}", "---", "flowchart LR"]
    kinds: dict[str, list[str]] = {}
    for number, group in enumerate(drawing.groups):
        inside = [f"{_id(number, box.id)}[{_label(box)}]" for box in group.boxes]
        inside += [
            f"{_id(number, arrow.source)} -->{f'|{_quoted(arrow.label)}|' if arrow.label else ''} {_id(number, arrow.target)}"
            for arrow in group.arrows
        ]
        lines += (
            [f"  subgraph g{number}[{_quoted(group.title)}]", *(f"    {line}" for line in inside), "  end"]
            if group.title
            else [f"  {line}" for line in inside]
        )
        for box in group.boxes:
            kinds.setdefault(box.kind, []).append(_id(number, box.id))
    lines += [f"  class {','.join(ids)} {kind}" for kind, ids in kinds.items()]
    return "\n".join(lines) + "\n"


def _id(number: int, id_: str) -> str:
    # Mermaid takes `end` and words after a hyphen for its own.
    return f"g{number}_{id_.replace('-', '_').replace('.', '_')}"


def _label(box: Box) -> str:
    return _quoted("<br/>".join([f"<b>{_text(box.title)}</b>", *map(_text, box.lines)]), escaped=True)


def _quoted(text: str, *, escaped: bool = False) -> str:
    return f'"{text if escaped else _text(text)}"'


def _text(text: str) -> str:
    """Characters that mermaid would read, as its entities."""
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
