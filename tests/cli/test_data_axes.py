import re

from hamster.cli import main
from hamster.sim.tabletop.axes import matrix
from hamster.sim.tabletop.axes.factors import FAMILIES


def test_the_matrix_and_the_rejected_scenes_are_printed(capsys, monkeypatch) -> None:
    monkeypatch.setattr(matrix, "AXES", {name: matrix.AXES[name] for name in ("basic", "spatial")})
    main(["data", "axes", "--scenes", "1", "--rejected"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ") and "---" not in line]
    head, basic, spatial, rejected_head, *rejected = lines
    assert "camera" in head and basic.count("as demonstrated") == 14
    assert spatial.count("as demonstrated") == 13 and spatial.count("held out in 6 cases") == 1
    assert "too few alternatives" in rejected_head and rejected_head.endswith("| no shift | expert fails |")
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in rejected]
    assert [row[:3] for row in rows] == [
        [axis, family, str(n)] for axis, n in (("basic", 1), ("spatial", 6)) for family in FAMILIES
    ]
    for _, _, n_scenes, n_drawn, *shares in rows:
        counts = [(int(k), int(of)) for k, of in re.findall(r"\((\d+) of (\d+)\)", " ".join(shares))]
        assert len(counts) == 6 and all(of == int(n_drawn) for _, of in counts[:-1])
        assert sum(k for k, _ in counts) + int(n_scenes) == int(n_drawn)
        assert counts[-1][1] == int(n_scenes) + counts[-1][0]
    assert any(not cell.startswith("0.0%") for row in rows for cell in row[4:-1])
