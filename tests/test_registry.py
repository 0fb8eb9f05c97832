import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hamster.registry import Registry, unknown_name


def test_a_decorator_registers_and_returns_its_class() -> None:
    registry: Registry[type] = Registry("thing", "hamster.test_none")

    @registry.register("mine")
    class Mine:
        pass

    assert registry.get("mine") is Mine
    assert registry.names() == ["mine"]
    assert "mine" in registry
    assert not registry.is_builtin("mine")


def test_builtins_are_imported_when_asked_for_only() -> None:
    registry: Registry[type] = Registry(
        "thing", "hamster.test_none", {"gone": "no_such_module:X", "d": "decimal:Decimal"}
    )
    assert registry.names() == ["gone", "d"]
    assert registry.get("d").__name__ == "Decimal"
    with pytest.raises(ModuleNotFoundError):
        registry.get("gone")


def test_an_unknown_name_lists_what_there_is() -> None:
    registry: Registry[int] = Registry("number", "hamster.test_none", {"three": 3, "four": 4})
    with pytest.raises(ValueError, match=r"unknown number 'thre'\. Did you mean 'three'\? There are: three, four\."):
        registry.get("thre")
    assert str(unknown_name("thing", "a", [])) == "unknown thing 'a'. There are: none."


def test_a_name_has_one_owner() -> None:
    registry: Registry[object] = Registry("thing", "hamster.test_none", {"taken": "decimal:Decimal"})
    with pytest.raises(
        ValueError, match=r"thing 'taken' is registered twice: by decimal:Decimal and by pathlib.*:Path"
    ):
        registry.register("taken", Path)
    registry.register("mine", test_a_name_has_one_owner)
    with pytest.raises(ValueError, match="'mine' is registered twice"):
        registry.register("mine", Path)


def test_the_same_definition_again_replaces_itself_as_a_notebook_cell_does() -> None:
    registry: Registry[type] = Registry("thing", "hamster.test_none")

    def cell() -> type:
        @registry.register("cell")
        class Cell:
            pass

        return Cell

    cell()
    again = cell()
    assert registry.get("cell") is again


@pytest.mark.parametrize("name", ["", " a", "a,b", "a:b", "a/b"])
def test_names_that_a_command_line_could_not_give_are_refused(name: str) -> None:
    registry: Registry[int] = Registry("thing", "hamster.test_none")
    with pytest.raises(ValueError, match="cannot name a thing"):
        registry.register(name, 1)


def test_a_text_is_taken_for_the_place_of_a_value_only() -> None:
    registry: Registry[type] = Registry("thing", "hamster.test_none")
    registry.register("later", "decimal:Decimal")
    assert registry.get("later").__name__ == "Decimal"
    for text in ("decimal", "decimal:", ":Decimal"):
        with pytest.raises(ValueError, match='is no "module:attribute"'):
            registry.register("odd", text)


def test_what_is_no_value_of_the_kind_is_refused_when_it_is_registered() -> None:
    def positive(value: int) -> int:
        if value <= 0:
            raise ValueError(f"{value} is not positive")
        return value

    registry: Registry[int] = Registry("number", "hamster.test_none", adapt=positive)
    registry.register("one", 1)
    with pytest.raises(ValueError, match=r"number 'minus' .*: -1 is not positive"):
        registry.register("minus", -1)
    assert registry.names() == ["one"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with distributions that declare entry points."""
    (tmp_path / "good_plugin.py").write_text("class Thing:\n    pass\n")
    (tmp_path / "broken_plugin.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "silent_plugin.py").write_text("")
    (tmp_path / "registering.py").write_text("import __main__\n__main__.r.register('self', 'decimal:Decimal')\n")
    for name, points in {
        "good": "good = good_plugin:Thing\nself = registering",
        "broken": "broken = broken_plugin:Thing\nsilent = silent_plugin",
        "thief": "path = good_plugin:Thing",
    }.items():
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[hamster.test_things]\n{points}\n")
    return tmp_path


def test_entry_points_are_found_and_broken_ones_named(installed: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from hamster.registry import Registry
        r = Registry("thing", "hamster.test_things", {"path": "pathlib:Path"})
        assert sorted(r.names()) == ["broken", "good", "path", "self", "silent"], r.names()
        assert "good_plugin" not in sys.modules
        print(r.get("good"))
        print(r.get("self").__name__, r.get("self").__name__)
        import good_plugin
        r.register("good", good_plugin.Thing)  # as a module that is imported, and declared as well
        assert r.get("good") is good_plugin.Thing
        for name in ("broken", "silent", "path"):
            try:
                r.get(name)
            except ValueError as error:
                print(error)
        try:
            Registry("thing", "hamster.test_things", reserved={"good": "somebody else's"}).get("good")
        except ValueError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(installed)!r})\n{script}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    good, itself, broken, silent, twice, reserved = done.stdout.splitlines()
    assert good == "<class 'good_plugin.Thing'>"
    assert itself == "Decimal Decimal"
    assert broken.startswith(
        "thing 'broken' of broken_plugin:Thing (distribution broken 1.2) cannot be imported: Module"
    )
    assert silent == "silent_plugin (distribution broken 1.2) registers no thing 'silent' when it is imported"
    assert twice == (
        "thing 'path' is registered twice: by pathlib:Path and by good_plugin:Thing (distribution thief 1.2)"
    )
    assert reserved == (
        "thing 'good' of good_plugin:Thing (distribution good 1.2): the name is somebody else's; "
        "the package must choose another one"
    )
