"""`mam-keras study STUDY.yaml` trains and compares runs. TensorFlow is imported once all is checked."""

from mam_keras import command_line


def main(arguments=None):
    from mam_keras.study import plan
    from mam_keras.study.study_directory import StudyDirectory

    parser = command_line.parser(
        "study",
        "Train the runs of a study and compare them. The same command again carries on.",
        "mam-keras study configs/studies/localisation.yaml",
    )
    parser.add_argument("study", metavar="STUDY.yaml")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        help="change one setting of all runs; may be repeated",
    )
    parser.add_argument("--run", metavar="DIR", help="the study's directory; runs/<the study's name>-study if left out")
    parser.add_argument("--out", metavar="DIR", help="where the page goes; reports/<the study's name> if left out")
    arguments = parser.parse_args(arguments)
    study = plan.load(arguments.study, arguments.set)
    directory = StudyDirectory(arguments.run or f"runs/{study.name}-study")
    with directory.open(study):
        command_line.import_matplotlib()
        from mam_keras.study.run import run

        run(study, directory, arguments.out)


if __name__ == "__main__":
    command_line.run(main)
