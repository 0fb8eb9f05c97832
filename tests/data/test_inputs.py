import os
import shutil

import pytest

from hamster.data import FilePart, Inputs


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a"
    made.write_bytes(b"0123456789")
    old = made.stat().st_mtime_ns - 10**10
    os.utime(made, ns=(old, old))
    return made


def test_content_that_changes_shows_in_both_digests(file):
    inputs = Inputs("a", [file])
    stamp, digest, facts = inputs.stamp(), inputs.digest(), file.stat()
    file.write_bytes(b"9876543210")
    os.utime(file, ns=(facts.st_mtime_ns, facts.st_mtime_ns))  # same size, same time
    assert inputs.stamp() != stamp and inputs.digest() != digest


def test_a_copy_or_a_touched_file_has_the_same_content(file):
    inputs = Inputs("a", [file])
    stamp, digest = inputs.stamp(), inputs.digest()
    copy = shutil.copy(file, file.with_name("b"))
    assert Inputs("b", [copy]).digest() == digest
    os.utime(file)
    assert inputs.stamp() != stamp and inputs.digest() == digest


def test_a_part_of_a_file_changes_with_its_bytes_only(file):
    part = Inputs("a", [FilePart(file, 2, 5)])
    digest = part.digest()
    file.write_bytes(b"xx234yyyyy")
    assert part.digest() == digest and FilePart(file, 2, 5).read() == b"234"
    assert Inputs("a", [FilePart(file, 3, 6)]).digest() != digest


def test_files_that_come_and_go_and_facts_count(file):
    absent = file.with_name("absent")
    inputs = Inputs("a", [file, absent], "seed 1")
    stamp, digest = inputs.stamp(), inputs.digest()
    assert Inputs("a", [file, absent], "seed 2").digest() != digest
    absent.write_bytes(b"")
    assert inputs.stamp() != stamp and inputs.digest() != digest
    assert Inputs("a", [file.parent]).digest() != digest  # no file, and no reason to stop


def test_what_was_written_a_moment_ago_is_not_settled(file):
    assert not Inputs("a", [file]).is_settled()  # its content may change again within the clock's tick
    assert Inputs("nothing but numbers").is_settled()
