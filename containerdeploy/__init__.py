"""Deploy system images in isolation: configure a root file system, write it where it can run.

The map of the house (which room may import which is held by tests/test_architecture.py):

    __main__.py   python -m containerdeploy
    cli.py        the front door: the verbs
    options.py    the options that verbs share
    commands/     a verb per file: arguments, one call, exit code
    places.py     where records, caches, the store and the policy are kept
    harmless.py   text that can't act on a terminal
    paths.py      whether a path is there, however it is spelled
    policy/       what operators allow: files, and everything held against them
    network.py    what of the network an extension may use
    frozen.py     how all rooms make their values: frozen, by keyword, quick to define
    images.py     the product's own images and their short names
    programs.py   the programs that an image offers, as text
    errors.py     what went wrong, the evidence, what to do, the exit code
    wire/         what controller and agent say to each other; standard library only
    cache/        by what a step's layer is found again; standard library only
    conduct.py    checks that a helper's events come as an honest agent would send them
    allowance.py  how long and how much a helper may talk
    syscalls.py   the kernel calls Python lacks (numbers in syscall_numbers.py)
    document/     YAML to values that know their place in the file
    definition/   clusters and systems, every complaint with file:line:column
    extension.py  finds extensions; runs none (their sidecars: sidecar.py)
    source/       what a system is made from: find it, digest it
    plan/         model + catalogue + options to a frozen plan; pure
    migration/    old definitions to the native form, and what would keep them from running
    planning.py   reads what the plan needs to know, then plans
    engine/       docker (Podman too) and local: containers, nothing about deploying
    helper/       one system's helper: its spec, its payload, its session
    deploy/       all systems side by side, one event queue, teardown, sweep
    result/       folds events into results, keeps run records
    selftest/     attacks the isolation on the user's own engine, and tells what held
    report/       shows a run: plain, rich, JSON lines
    agent/        runs inside the helper; standard library, wire and syscalls only
    gateway/      connects for an extension whose network is a list; runs beside the agent
    extensions/   the built-in extensions and their sidecars
"""

__version__ = "0.1.0"
