"""What a worker is started with: its command, its directory, its environment and its rights."""

from __future__ import annotations

from procman import plan
from procman.config import model
from procman.config.check.accounts import Identity
from procman.config.compile.listen import listen_of
from procman.config.compile.output import output_of
from procman.config.compile.paths import absolute, base_of
from procman.config.compile.surroundings import Surroundings
from procman.config.merge.envfiles import env_path
from procman.config.merge.expand import literal
from procman.config.model.environment import Secret
from procman.config.text.document import Document, Path


def launch_of(name: str, group: model.Group, around: Surroundings) -> plan.Launch:
    """What the workers of a group are started with."""
    base = around.cwd if group.cwd is None else base_of(("group", name, "cwd"), around)
    identity = around.identities[name]
    env = {key: value if value is None else literal(value) for key, value in identity.env}
    for index, file in enumerate(group.env_file):
        source = around.document.origin(_env_file_path(name, index, around.document))[0]
        env.update((key, literal(value)) for key, value in around.env_files.get(env_path(source, file.path), ()))
    texts = {key: value for key, value in group.env.items() if isinstance(value, str)}
    env.update(texts)
    secrets = {key: _secret(name, key, value, around) for key, value in group.env.items() if isinstance(value, Secret)}
    for key in secrets:
        env.pop(key, None)
    return plan.Launch(
        command=group.command or ((literal(group.python),) if group.python else ()),
        cwd=absolute(literal(base), group.cwd or "."),
        env=tuple(env.items()),
        umask=group.umask,
        spawn=group.spawn,
        pass_env=(group.pass_env or ()) if group.clear_env else None,
        privileges=_privileges(group, identity),
        listen=listen_of(name, group, around),
        python=_python(name, group, around),
        cgroup=_cgroup(group),
        adopt=group.adopt,
        output=output_of(name, group, around),
        secrets=tuple(secrets.items()),
    )


def _python(name: str, group: model.Group, around: Surroundings) -> plan.Python | None:
    if group.callable is None:
        return None
    path = [absolute(base_of(("group", name, "path", at), around), one) for at, one in enumerate(group.path)]
    return plan.Python(group.callable, group.args, tuple(path), group.preload, group.threads)


def _cgroup(group: model.Group) -> plan.Cgroup | None:
    """Any limit implies one."""
    cgroup = plan.Cgroup(group.memory_max, group.cpu_max, group.pids_max)
    return cgroup if group.cgroup or cgroup != plan.Cgroup() else None


def _secret(name: str, key: str, value: Secret, around: Surroundings) -> str:
    """The file of a secret."""
    base = base_of(("group", name, "env", key, "secret", "file"), around)
    return absolute(literal(base), value.secret.file)


def _privileges(group: model.Group, identity: Identity) -> plan.Privileges | None:
    """None where nothing is asked for: such workers take the fast path."""
    limits = ((name.rstrip("_"), limit) for name, limit in group.limits)
    privileges = plan.Privileges(
        uid=identity.uid,
        gid=identity.gid,
        groups=identity.groups,
        nice=group.nice,
        oom_score_adj=group.oom_score_adj,
        cpu_affinity=group.cpu_affinity,
        limits=tuple(plan.Limit(name, *limit) for name, limit in limits if limit is not None),
        no_new_privileges=group.no_new_privileges,
        capabilities=None if group.capabilities is None else tuple(sorted(set(group.capabilities))),
        parent_death_signal=group.parent_death_signal,
    )
    return None if privileges == plan.Privileges() else privileges


def _env_file_path(name: str, index: int, document: Document) -> Path:
    path: Path = ("group", name, "env_file")
    return (*path, index) if isinstance(document.at(path), list) else path
