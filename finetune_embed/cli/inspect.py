"""`finetune-embed inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Names
from .output import (
    CommandLineForm,
    as_json_option,
    limit_option,
    member_option,
    print_json,
    vector_file,
    vector_size_option,
    working,
)

__all__ = ["inspect"]


@click.command(epilog="Example: finetune-embed inspect glove.6B.50d.txt --data reviews.csv")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", help="Data set whose coverage to report, with recommended settings.")
@click.option(
    "--text",
    type=Names(one=True),
    default="text",
    show_default=True,
    help="Its column of texts, or several separated by commas.",
)
@member_option
@limit_option
@vector_size_option
@click.option("--strict", is_flag=True, help="Exit with code 2 if there is a warning, too.")
@as_json_option
@click.pass_context
def inspect(
    context: click.Context,
    file: Path,
    data: str | None,
    text: str | list[str],
    member: str | None,
    limit: int | None,
    vector_size: int | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Report what a vector file is, what is odd about it, and what it covers of a data set.

    FILE may be compressed, damaged, or - for standard input. The exit code is 2, after the report,
    if it has an error: the other commands refuse such a file.
    """
    from ..inspection import inspect as inspect_file

    with working(f"inspecting {file}", as_json):
        report = inspect_file(
            vector_file(file), data, text, limit=limit, vector_size=vector_size, member=member
        )
    form = CommandLineForm(context.command)
    if as_json:
        print_json(report.to_dict(form))
    else:
        click.echo(report.render(form))
    is_refused = any(finding.severity == "error" for finding in report.findings)
    if is_refused or not report.words or (strict and not report.is_clean):
        context.exit(2)
