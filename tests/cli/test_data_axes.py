from hamster.cli import main
from hamster.sim.tabletop.axes import matrix


def test_the_matrix_and_the_rejected_scenes_are_printed(capsys, monkeypatch) -> None:
    monkeypatch.setattr(matrix, "AXES", {name: matrix.AXES[name] for name in ("basic", "spatial")})
    main(["data", "axes", "--scenes", "1", "--rejected"])
    lines = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith(("| axis", "| basic", "| spatial"))
    ]
    head, basic, spatial, rejected_head, rejected, _ = lines
    assert "camera" in head and basic.count("as demonstrated") == 14
    assert spatial.count("as demonstrated") == 13 and spatial.count("held out in 6 cases") == 1
    assert rejected_head == "| axis | pick_place | press | knock |" and rejected.count("0.0% (0 of 1)") == 3
