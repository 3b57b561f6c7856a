"""`procman plan`: what applying a configuration to a running site would do, or what tells two versions of one apart."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from procman.cli import talk
from procman.cli.arguments import add_configuration, configuration, default_file
from procman.cli.changes import Version, as_json, changes, render
from procman.cli.main import EXIT_USAGE, UNSET, Parser
from procman.plan.codec import from_plain
from procman.screen import columns, wants_colour

if TYPE_CHECKING:
    from procman.config.text.revision import Revision

EXIT_CHANGES, EXIT_INVALID = 4, 78

_EPILOG = f"""\
examples:
  procman plan                       what `procman reload` would do now
  procman plan -s shop site.toml     what this file would do to the site
  procman plan old.toml new.toml     what tells two files apart
  procman plan --from origin/main    what tells the files from that revision

A running site's own loader compiles it, with the site's environment and directory; FILEs take the place of its own.

With --from and no FILE it is site.toml, procman.toml or configs/site.toml.

exit codes:
  0    nothing would change
  {EXIT_CHANGES}    there are changes
  2    wrong usage
  {talk.EXIT_NO_SITE}    no such site is running
  {EXIT_INVALID}   the configuration is invalid
"""


class InvalidError(Exception):
    """A configuration cannot be used; the argument is what to say about it."""


def add_parser(commands: argparse._SubParsersAction[Parser], name: str) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        name,
        help="show what applying a configuration would do",
        description="Shows what applying a configuration would do, group by group. Changes nothing.",
        epilog=_EPILOG,
    )
    add_configuration(parser)
    parser.add_argument("--from", dest="revision", metavar="GIT_REV", help="compare with the files in this revision")
    talk.add_site(parser)
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compare, and print it."""
    try:
        old, new = _versions(args)
    except InvalidError as error:
        sys.stderr.write(str(error))
        return EXIT_INVALID
    except talk.GiveUpError as error:
        return error.code
    found = changes(old, new)
    if args.json:
        sys.stdout.write(json.dumps(as_json(found), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(render(found, wants_colour(os.isatty(1)), columns(1)))
    return EXIT_CHANGES if found else 0


def _versions(args: argparse.Namespace) -> tuple[Version, Version]:
    """The two to compare. Raises InvalidError, GiveUpError."""
    if args.revision == "":
        args.parser.error(f"--from: GIT_REV is empty\n{UNSET}")
    if args.revision is not None:
        args.files = args.files or [default_file(args)]
        return _since_revision(args)
    if len(args.files) == 2 and getattr(args, "site", None) is None:
        old, new = args.files
        return _compiled(args, [old]), _compiled(args, [new])
    return _running(args), _proposed(args)


def _running(args: argparse.Namespace) -> Version:
    """What the site that is meant has in force. Raises GiveUpError."""
    reply = talk.question(args, {"do": "plan"})
    return Version(from_plain(reply["plan"]), reply["digest"])


def _proposed(args: argparse.Namespace) -> Version:
    """What that site's own loader makes of the files. Raises InvalidError, GiveUpError."""
    answer = talk.consult(args)
    if "reason" in answer:
        raise InvalidError(f"{answer['diagnostics']}\n{answer['reason']}\n")
    return Version(from_plain(answer["plan"]), str(answer["digest"]))


def _since_revision(args: argparse.Namespace) -> tuple[Version, Version]:
    """The files as they were, and as they are; where the first of them was not there yet, there was no group."""
    from procman.config.text.repository import GitError
    from procman.config.text.revision import NoRevisionError, Revision
    from procman.plan import Plan

    new = _compiled(args, args.files)
    first = new.plan.sources[0]
    try:
        revision = Revision(args.revision, os.path.dirname(first))  # noqa: PTH120
        if revision.covers(first) and revision.read(first) is None:
            return Version(Plan(new.plan.name, ()), "none"), new
    except GitError as error:
        hint = "--from asks git, which has to be installed, and the file in one of its repositories"
        if isinstance(error, NoRevisionError):
            hint = "name a commit, a branch or a tag"
        raise talk.GiveUpError(talk.complain(args, str(error), hint, EXIT_USAGE)) from None
    return _compiled(args, args.files, revision), new


def _compiled(args: argparse.Namespace, files: list[str], revision: Revision | None = None) -> Version:
    """A version, compiled here. Raises InvalidError."""
    from procman import plan
    from procman.config.loader import explain, load_plan
    from procman.config.merge.load import Request

    named = configuration(args)
    request = Request(files, str(named["cwd"]), args.overlay, args.sets, revision=revision)
    result = load_plan(request, os.environ)
    if isinstance(result, plan.Plan):
        return Version(result, plan.digest(result))
    reason, text = explain(result, request, colour=wants_colour(sys.stderr.isatty()))
    raise InvalidError(f"{text}\n{reason}" + (f" (in {args.revision})" if revision else "") + "\n")
