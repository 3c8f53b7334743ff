"""A table as Markdown and CSV, and its picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ppcds.errors import UserError
from ppcds.files import written_whole


def as_markdown(table: pd.DataFrame) -> str:
    """A table of strings as Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def write_table(folder: Path, name: str, text: str, table: pd.DataFrame, picture: Figure) -> None:
    """<name>.md, .csv and .png in `folder`, each whole or as before.

    Raises UserError if the folder cannot be written to.
    """
    try:
        with written_whole(folder / f"{name}.md") as path:
            path.write_text(text + "\n", encoding="utf-8")
        with written_whole(folder / f"{name}.csv") as path:
            table.to_csv(path, index=False, encoding="utf-8")
        with written_whole(folder / f"{name}.png") as path:
            picture.savefig(path, format="png")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
