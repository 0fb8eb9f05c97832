"""Check the files that GitHub and Docker read against the repository: targets, versions, extras, paths."""

import re
import subprocess
import tomllib

import pytest
import yaml

from tests.markdown import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))


def steps(workflow):
    return [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_calls_targets_that_exist(workflow):
    targets = re.findall(r"\bmake ([\w-]+)", "\n".join(step.get("run", "") for step in steps(workflow)))
    assert targets
    done = subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_has_few_rights_and_keeps_no_credentials(workflow):
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert "secrets." not in workflow.read_text()


def test_all_supported_versions_of_python_are_tested():
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert ci["jobs"]["test"]["strategy"]["matrix"]["python"] == supported


@pytest.mark.parametrize("form", FORMS, ids=lambda file: file.name)
def test_an_issue_form_has_what_github_requires(form):
    content = yaml.safe_load(form.read_text())
    assert content["name"] and content["description"]
    ids = [field["id"] for field in content["body"] if field["type"] != "markdown"]
    assert ids and len(ids) == len(set(ids))


def test_the_docker_image_is_built_from_files_that_exist_and_are_sent():
    dockerfile = (ROOT / "Dockerfile").read_text()
    sent = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = [word for line in re.findall(r"^COPY (?!--)(.+)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]]
    assert set(copied) == sent and all((ROOT / name).exists() for name in copied)
    (extras,) = re.findall(r"\.whl\)\[([\w,]+)\]", dockerfile)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
