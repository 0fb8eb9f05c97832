"""Label a LeRobot dataset, and fine-tune the bundled planner on it.

python examples/label_and_finetune.py [DATASET_FOLDER] [STEPS]

Without a folder, a dataset of four simulated demonstrations stands in for yours.
"""

import sys
from dataclasses import replace
from pathlib import Path

import hamster
from hamster.label.export import export
from hamster.planner.load import find_planner
from hamster.planner.nano_training.pictures import WeightedDataset
from hamster.planner.nano_training.train import train_planner
from hamster.planner.presets import preset

OUT = Path("outputs/label_and_finetune")


def main(dataset: str | None = None, steps: int = 4) -> None:
    """Label every frame, train for some steps, and ask the new planner."""
    if dataset is None:
        hamster.label("tabletop:4", OUT / "expert", workers=1)
        dataset = str(OUT / "dataset")
        export(OUT / "expert", Path(dataset), "lerobot")
    # A path for every frame, by projecting the recorded tool poses into the calibrated camera.
    result = hamster.label(f"lerobot:{dataset}", OUT / "labels", workers=1)
    print(
        f"labelled {result.n_labelled} of {result.n_items} episodes, skipped {result.n_skipped}, failed {result.n_failed}"
    )

    config = replace(preset("finetune"), steps=steps, batch=4)
    metrics = train_planner(config, [WeightedDataset(OUT / "labels")], OUT / "planner", find_planner("nano"))
    print({name: round(value, 3) for name, value in metrics.items()})

    planner = hamster.load_planner(OUT / "planner" / "model")
    print(f"a planner of type {type(planner).__name__} in {OUT / 'planner' / 'model'}")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(steps) for steps in sys.argv[2:3]))
