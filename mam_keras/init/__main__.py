"""`mam-keras init FOLDER-OR-CSV` looks at a stranger's images and writes a configuration to begin with."""

from mam_keras import command_line


def main(arguments=None):
    from pathlib import Path

    from mam_keras import config
    from mam_keras.errors import UserError
    from mam_keras.files import write_text
    from mam_keras.init.seen import look
    from mam_keras.init.suggestion import suggest
    from mam_keras.init.written import ending, lines, to_yaml

    parser = command_line.parser(
        "init",
        "Look at your own images, say what there is, and write a configuration for a first run.",
        "mam-keras init clothes/images.csv && mam-keras fit clothes.yaml && mam-keras report runs/clothes",
    )
    parser.add_argument("path", metavar="FOLDER-OR-CSV", help="a folder for each class, or a table of image files")
    parser.add_argument("--out", metavar="FILE.yaml", help="the configuration; NAME.yaml here if left out")
    asked = parser.parse_args(arguments)
    seen = look(asked.path)
    settings = suggest(seen, asked.path)
    name = settings[0].value
    out = Path(asked.out or f"{name}.yaml")
    if out.exists():
        raise UserError(f"{out}: expected no such file yet, or another --out. Received: one that is there")
    for line in lines(seen):
        print(f"  {line}")
    text = to_yaml(settings, seen, str(out))
    write_text(out, text)
    config.load(out)
    print(f"Written: {out}, {ending(seen)}. Next: mam-keras fit {out} && mam-keras report runs/{name}")


if __name__ == "__main__":
    command_line.run(main)
