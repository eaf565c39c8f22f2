"""A short run of the main job on real faces."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_short_training_on_real_faces_learns_something(real_faces, tmp_path):
    settings = (f"data.directory={real_faces}", "data.limit=1500", "training.epochs=3", "training.warmup_epochs=0.5")
    command = [sys.executable, "-m", "mam_keras.fit", str(ROOT / "configs/celeba_small.yaml"), "--run", str(tmp_path)]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    test = json.loads((tmp_path / "evaluation.json").read_text())["splits"]["test"]
    assert test["resampled"] == "groups"  # people, not images
    for head in test["heads"].values():
        # a ranking that knows nothing has the positive rate as its average precision
        assert head["interval"]["average_precision"][0] > head["mean"]["positive_rate"] + 0.1
