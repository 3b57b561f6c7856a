"""The loader: request → plan or diagnostics. `main` is a helper process of the core; `load_plan` is what it does.

The helper reads one JSON request from its arguments, writes one JSON object to stdout and exits 0. Its memory is
bounded, its time by whoever started it. It never writes to a file and leaves no process behind.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from procman import plan
from procman.config.check.accounts import Identities, read_identities
from procman.config.check.groups import cross_checks
from procman.config.check.model_errors import problems_of
from procman.config.compile import Surroundings, compile_site
from procman.config.cpus import usable_cpus
from procman.config.merge.envfiles import EnvFiles, read_env_files
from procman.config.merge.load import Request, load
from procman.config.model import Site
from procman.config.text.diagnose import Diagnosis, diagnose
from procman.config.text.document import Document, Problem, Rejected
from procman.config.text.places import places_of
from procman.config.text.repository import Commit, identify

MOST_MEMORY = 1 << 30
"""Of address space, in bytes: a configuration that needs more is none."""


class Invalid(NamedTuple):
    """A configuration that cannot be used."""

    problems: list[Problem]
    document: Document | None
    """None if not all files could be read."""


class Valid(NamedTuple):
    """A configuration that can be used."""

    site: Site
    document: Document
    env_files: EnvFiles
    identities: Identities


def load_plan(request: Request, environ: Mapping[str, str]) -> plan.Plan | Invalid:
    """The plan of the files that are named, or everything that is wrong with them."""
    read = load_site(request, environ)
    if isinstance(read, Invalid):
        return read
    site, document, env_files, identities = read
    origin = _origin(document, list(env_files.pairs), request)
    return compile_site(site, Surroundings(document, request.cwd, env_files.pairs, identities.of, usable_cpus, origin))


def load_site(request: Request, environ: Mapping[str, str]) -> Valid | Invalid:
    """The files that are named, read and validated, or everything that is wrong with them."""
    try:
        document, problems = load(request, environ)
    except Rejected as rejected:
        return Invalid(rejected.problems, None)
    env_files = read_env_files(document, request.here or request.cwd, request.revision)
    identities = read_identities(document)
    problems += env_files.problems
    problems += identities.problems
    # What could not be expanded is wrong in the model's eyes, too; it has been said.
    said = {problem.path for problem in problems if problem.place is None and problem.source is None}
    try:
        site = Site.model_validate(document.tree)
    except ValidationError as error:
        site = None
        problems += [problem for problem in problems_of(error, document) if problem.path not in said]
    problems += cross_checks(document)
    if site is None or problems:
        return Invalid(problems, document)
    return Valid(site, document, env_files, identities)


def _origin(document: Document, env_files: list[str], request: Request) -> plan.Origin:
    """Where a valid document came from."""
    files = [source.path for source in document.sources if source.path is not None]
    commit = identify(files, env_files) if request.revision is None else Commit(request.revision.commit)
    return plan.Origin(commit.name, commit.dirty, places_of(document), document.includes)


def explain(invalid: Invalid, request: Request, *, colour: bool = False) -> Diagnosis:
    """What is wrong, for people."""
    return diagnose(invalid.problems, request.files[0], invalid.document, colour=colour)


def answer(request: Request, environ: Mapping[str, str], *, colour: bool = False) -> dict[str, object]:
    """The JSON object that the core is sent."""
    try:
        if request.key:
            return answer_key(request, environ)
        result = load_plan(request, environ)
        if isinstance(result, plan.Plan):
            return {"plan": json.loads(plan.to_json(result)), "digest": plan.digest(result)}
        reason, text = explain(result, request, colour=colour)
    except MemoryError:
        result = None
        gc.collect()
        reason = f"{request.files[0]}: 1 error"
        text = f"{request.files[0]}:1:1: the configuration needs too much memory\nhint: is it the right file?\n"
    return {"reason": reason, "diagnostics": text}


def answer_key(request: Request, environ: Mapping[str, str], *, colour: bool = False) -> dict[str, object]:
    """All about the key that is asked for, or what is wrong; a key that is none has no diagnostics but a hint."""
    from procman.config.explanation import UnknownKeyError, explain_key

    read = load_site(request, environ)
    if isinstance(read, Invalid):
        reason, text = explain(read, request, colour=colour)
        return {"reason": reason, "diagnostics": text}
    try:
        return {"explained": explain_key(request.key, read.document)}
    except UnknownKeyError as error:
        return {"reason": str(error), "hint": error.hint}


def _bound_memory() -> None:
    """Of this process; a bound that is tighter already stays."""
    unlimited = resource.RLIM_INFINITY
    set_already = [bound for bound in resource.getrlimit(resource.RLIMIT_AS) if bound != unlimited]
    most = min([MOST_MEMORY, *set_already])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Answer the request in the last argument."""
    _bound_memory()
    # A short life: collecting would only cost time.
    gc.disable()
    wanted = json.loads(sys.argv[-1])
    named = {name: wanted[name] for name in Request._fields if name in wanted}
    text = json.dumps(answer(Request(**named), os.environ, colour=wanted.get("colour", False)))
    sys.stdout.write(text)
    sys.stdout.flush()
