"""`mam-keras direct RUN_DIR` opens the page; with `--regions FILE` it directs without one."""

from pathlib import Path

from mam_keras import command_line


def main(arguments=None):
    from mam_keras import extras
    from mam_keras.errors import UserError
    from mam_keras.fit import cluster

    parser = command_line.parser(
        "direct",
        "Fine-tune a finished run so that it looks where it should, beside a control without the regions: on a local "
        "page, or with --regions without one. The same command again carries on.",
        "mam-keras direct runs/demo",
    )
    parser.add_argument("run_dir", metavar="RUN_DIR", help="the finished run to start from")
    parser.add_argument(
        "--run",
        metavar="DIR",
        help="the directed run's directory, RUN_DIR-directed if left out; where the page works, RUN_DIR-directing",
    )
    without = parser.add_argument_group("without the page")
    without.add_argument("--regions", metavar="FILE", help="YAML that says where the attributes are")
    without.add_argument("--attributes", metavar="A,B", help="which to direct; all with a region if left out")
    without.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="change one setting; may be repeated"
    )
    without.add_argument("--overwrite", action="store_true", help="start anew where a run already exists")
    page = parser.add_argument_group("the page")
    page.add_argument("--port", type=int, default=0, metavar="N", help="a free one if left out")
    page.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen; 127.0.0.1 if left out")
    page.add_argument("--expose", action="store_true", help="allow an ADDRESS that other machines reach, unencrypted")
    arguments = parser.parse_args(arguments)
    path = Path(arguments.run_dir)
    path = path if path.name else path.resolve()
    ending = "directing" if arguments.regions is None else "directed"
    target = Path(arguments.run or path.with_name(f"{path.name}-{ending}"))
    if arguments.regions is None:
        for flag in ("attributes", "set", "overwrite"):
            if getattr(arguments, flag) not in (None, [], False):
                raise UserError(f"--{flag}: expected --regions with it; the page asks for this itself. Received: none")
        extras.require("direct", "mam-keras direct without --regions")
        command_line.import_matplotlib()
        from mam_keras.direct.serve import serve

        serve(path, target, arguments.host, arguments.port, arguments.expose)
        return
    from mam_keras.data import some
    from mam_keras.direct import plan
    from mam_keras.direct.run import run

    before = plan.opened(path)
    names = command_line.names("--attributes", arguments.attributes)
    made = plan.make(before, target, arguments.regions, names, plan.assignments(arguments.set))
    for what, names in plan.left_out(before, arguments.regions).items():
        if names:
            print(f"note: {arguments.regions}: left out, for {path} has no such {what}: {some(names)}", flush=True)
    run(made, arguments.overwrite, cluster.read(made.config.distribute.strategy))


if __name__ == "__main__":
    command_line.run(main)
