"""Command line of the testbed's cluster: ``python -m tests.testbed.cluster --help``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.choice import Cluster, bring_up, find, load_image, tear_down
from tests.testbed.cluster.gpu import patch_gpu
from tests.testbed.cluster.images import build_base, build_image, remove_images
from tests.testbed.cluster.prerequisites import ensure_prerequisites
from tests.testbed.cluster.toolchain import TOOL_SETS, build_tools, remove_tools

_EXAMPLES = """\
examples:
  python -m tests.testbed.cluster prerequisites           install the Debian packages that are missing (root)
  python -m tests.testbed.cluster build-tools             compile Kubernetes and the rest, once (8-14 min)
  python -m tests.testbed.cluster up --instance demo      a cluster that is ready; prints how to use it
  python -m tests.testbed.cluster image localhost/semantic-search/plane:dev . -f encoder_image/Dockerfile
  python -m tests.testbed.cluster load --instance demo localhost/semantic-search/plane:dev
  python -m tests.testbed.cluster gpu --instance demo 4   nodes offer four (fake) T4s
  python -m tests.testbed.cluster down --instance demo    removes all that `up` made
  python -m tests.testbed.cluster clean                   removes built images and tools

Which cluster: the one in KUBECONFIG (context SSO_CONTEXT), else kind where a Docker engine answers, else an
embedded real node (root, Linux). What is built stays in SSO_CACHE (~/.cache/semantic-search-operator).
"""


def _progress(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {message}", file=sys.stderr, flush=True)


def _describe(cluster: Cluster) -> None:
    print(f"kind        {cluster.kind}")
    print(f"kubectl     {cluster.kubectl} --kubeconfig {cluster.kubeconfig}")
    print(f"audit log   {cluster.audit_log or 'none'}")
    reach = "reachable from this machine" if cluster.host_reaches_pods else "use kubectl port-forward"
    print(f"pods        {reach}")
    print(cluster.ask("get", "nodes", "-o", "wide"), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.testbed.cluster",
        description="A real Kubernetes cluster for the demo and the tests.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    instance = argparse.ArgumentParser(add_help=False)
    instance.add_argument("--instance", default="demo", help="which cluster (default: demo)")
    commands.add_parser("up", parents=[instance], help="bring the cluster up; does nothing when it is")
    commands.add_parser("down", parents=[instance], help="remove all that `up` made; a given cluster stays")
    commands.add_parser("status", parents=[instance], help="say whether it is up and how to use it")
    load = commands.add_parser("load", parents=[instance], help="load images into the cluster")
    load.add_argument("image", nargs="+", help="tag of an image built here, or a docker-archive")
    gpu = commands.add_parser("gpu", parents=[instance], help="declare GPUs on the nodes")
    gpu.add_argument("count", type=int)
    commands.add_parser("base", help="make the base image")
    image = commands.add_parser("image", help="build an image, print its archive")
    image.add_argument("tag")
    image.add_argument("context", type=Path)
    image.add_argument("-f", "--dockerfile", type=Path)
    image.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    tools = commands.add_parser("build-tools", help="compile the cluster's parts that are not cached")
    names = [tools_.name for tools_ in TOOL_SETS]
    tools.add_argument("set", nargs="*", help=f"which (default: all): {', '.join(names)}")
    commands.add_parser("clean", help="remove built images and tools from the cache; clusters must be down")
    commands.add_parser("prerequisites", help="install missing Debian packages (root)")
    return parser


def _act(options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            _describe(bring_up(options.instance, progress=_progress))
        case "down":
            tear_down(options.instance)
            _progress(f"{options.instance}: down")
        case "prerequisites":
            ensure_prerequisites(_progress)
        case "build-tools":
            for folder in build_tools(options.set or [tools.name for tools in TOOL_SETS], progress=_progress):
                print(folder)
        case "clean":
            remove_images()
            remove_tools()
        case "base":
            print(build_base(progress=_progress))
        case "image":
            arguments = dict(pair.split("=", 1) for pair in options.build_arg)
            built = build_image(
                options.tag,
                options.context,
                dockerfile=options.dockerfile,
                build_args=arguments,
                progress=_progress,
            )
            print(built)
        case _:
            return _with_running(options)
    return 0


def _with_running(options: argparse.Namespace) -> int:
    cluster = find(options.instance)
    if cluster is None:
        print(f"{options.instance}: not up (state would be under {cache_root() / 'clusters'})")
        return 1
    if options.command == "status":
        _describe(cluster)
    elif options.command == "gpu":
        patch_gpu(cluster, options.count)
    else:
        for image in options.image:
            began = time.monotonic()
            load_image(cluster, image)
            _progress(f"{image}: loaded in {time.monotonic() - began:.1f} s")
    return 0


def main() -> int:
    """Parse the arguments and act; an error the user can do something about is one message, exit 1."""
    try:
        return _act(_parser().parse_args())
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
