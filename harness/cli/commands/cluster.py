"""cluster init, scheduler, worker, show."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json, tell
from harness.host.paths import default_runs

app = typer.Typer(help="Let several hosts share the runs of a batch.", no_args_is_help=True)
PORT = 8786  # dask's usual one

Where = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ADDRESS",
        help="The cluster.json of the scheduler, or its address: tls://HOST:8786.",
    ),
]
Certificates = Annotated[
    Path | None,
    options.path_option(
        "--certificates", help="Directory with the certificates.", show_default=False
    ),
]


@app.command(
    "init", epilog=examples("zharness cluster init", "zharness cluster init DIR --days 365")
)
def init(
    directory: Annotated[
        Path | None, options.path_argument(help="The new directory for the certificates.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="They are valid so long.")] = 1825,
) -> None:
    """Make the certificates of a new cluster. All its hosts need a copy of the directory.

    Whoever has them can start programs on all hosts of the cluster.
    """
    from harness.cluster.access import default_certificates
    from harness.cluster.certificates import make

    made = directory or default_certificates()
    make(made, days)
    say(f"{made}: copy this directory to each host of the cluster, and let nobody else read it")


@app.command(
    "scheduler",
    epilog=examples(
        "zharness cluster scheduler",
        "zharness cluster scheduler --host 192.0.2.1 --certificates DIR",
        "zharness cluster scheduler --host 127.0.0.1 --no-tls --certificates DIR",
    ),
)
def scheduler(
    host: Annotated[str, typer.Option("--host", help="Listen at this address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="And this port; 0: any that is free.")
    ] = PORT,
    certificates: Certificates = None,
    no_tls: Annotated[
        bool, typer.Option("--no-tls", help="Encrypt nothing, and let everybody in.")
    ] = False,
) -> None:
    """Pass runs on to the hosts of a cluster, until SIGTERM comes. It runs nothing itself.

    It writes cluster.json, with its address, into the directory of the certificates.
    """
    from harness.cluster.access import Access, default_certificates, require_dask

    require_dask()
    from harness.cluster.scheduler import serve

    place = certificates or default_certificates()

    def ready(access: Access) -> None:
        file = access.save(place)
        tell(f"the cluster is at {access.address}: {file}")

    asyncio.run(serve(host, port, None if no_tls else place, ready))


@app.command(
    "worker",
    epilog=examples(
        "zharness cluster worker DIR/cluster.json",
        "zharness cluster worker tls://192.0.2.1:8786 -j 8 --store /srv/zharness",
    ),
)
def worker(
    cluster: Where,
    jobs: options.Jobs = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of this host.", callback=options.plain_name),
    ] = None,
    directory: Annotated[
        Path | None, options.path_option("--directory", help="Runs work in a folder here.")
    ] = None,
    store: options.StorePath = None,
) -> None:
    """Make this host part of a cluster, until SIGTERM comes or the scheduler ends.

    It has images and crashes of its own, in its store.
    """
    from harness.cluster.access import Access, require_dask

    require_dask()
    from harness.cluster.member import Member, serve
    from harness.run.batch.capacity import usable_cpus

    access, host = Access.of(cluster), name or platform.node()
    place = (directory or default_runs().parent / "cluster").absolute() / host
    member = Member(host, options.store_path(store).absolute(), place, jobs or usable_cpus())
    tell(f"{host} takes runs of the cluster at {access.address}")
    asyncio.run(serve(access, member))


@app.command("show", epilog=examples("zharness cluster show DIR/cluster.json"))
def show(cluster: Where, json: options.Json = False) -> int:
    """Show the hosts of a cluster, and what each can take. Exit code 3 if none takes runs."""
    from dataclasses import asdict

    from harness.cli.show.verdict import table
    from harness.cluster.access import Access, require_dask
    from harness.errors import ExitCode

    require_dask()
    from harness.cluster.cluster import Cluster

    with Cluster.open(Access.of(cluster)) as opened:
        hosts = opened.hosts()
    if json:
        say_json([asdict(host) for host in hosts])
    else:
        rows = (
            (host.name, str(host.cpus), f"{host.memory >> 20} MiB", host.trouble or "takes runs")
            for host in hosts
        )
        table(("host", "CPUs", "memory", ""), rows)
    fit = any(host.trouble is None for host in hosts)
    return int(ExitCode.PASS if fit else ExitCode.ERROR)
