"""The commands that look at earlier runs: `runs` and `show`."""

import io
import json
from pathlib import Path

import pytest
from run_story import changed, failed_run, good_run, heard, hello, log, run_started, step
from terminals import Terminal

from containerdeploy.commands.runs import runs
from containerdeploy.commands.show import show
from containerdeploy.errors import UsageError
from containerdeploy.result import (
    DeploymentParameters,
    Happening,
    Ledger,
    RecordedParameter,
    RecordError,
    RunHeader,
    RunRecord,
)

OLD, NEW = "20260101T000000-aaaaaaaaa", "20260102T000000-bbbbbbbbb"


def header(run: str) -> RunHeader:
    parameters = (
        RecordedParameter(name="HOSTNAME", value="web\n1", origin="clusters/x.yaml:9:5"),
        RecordedParameter(name="TOKEN", value="sesame", origin="--env TOKEN", secret=True),
    )
    return RunHeader(
        run=run,
        verb="deploy",
        cluster="clusters/x.yaml",
        engine={"flavour": "docker", "version": "20.10"},
        images={"web": "sha256:1234"},
        parameters=(DeploymentParameters(system="web", deployment="prod", parameters=parameters),),
    )


def record(home: Path, happenings: list[Happening], run: str = OLD) -> Path:
    ledger = Ledger()
    with RunRecord(home, header(run)) as writer:
        for happening in happenings:
            ledger.take(happening)
            writer.take(happening)
        writer.finish(ledger.results())
    return writer.directory


def listed(home: Path, *, as_json: bool = False) -> str:
    out = io.StringIO()
    assert runs(home, out, as_json=as_json) == 0
    return out.getvalue()


def shown(home: Path, run: str = "last", **options: object) -> str:
    out = io.StringIO()
    assert show(home, run, out, **options) == 0  # type: ignore[arg-type]
    return out.getvalue()


def test_no_runs_is_one_line(tmp_path: Path) -> None:
    assert listed(tmp_path) == "no run has been recorded yet\n"
    assert json.loads(listed(tmp_path, as_json=True)) == []


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path), OLD)
    record(tmp_path, failed_run(tmp_path), NEW)
    title, first, second = listed(tmp_path).splitlines()
    assert title.split() == ["RUN", "STARTED", "OUTCOME", "TOOK", "ENGINE", "VERB", "CLUSTER"]
    assert first.startswith(NEW) and " failed " in first
    assert second.startswith(OLD) and " deployed " in second and second.endswith("clusters/x.yaml")


def test_a_run_that_goes_on_is_marked(tmp_path: Path) -> None:
    with RunRecord(tmp_path, header(OLD)) as writer:
        for happening in good_run(tmp_path)[:5]:
            writer.take(happening)
        writer._close_files()
        assert " running " in listed(tmp_path)
        assert json.loads(listed(tmp_path, as_json=True))[0]["live"] is True
        assert "(running)" in shown(tmp_path)
    assert " died " in listed(tmp_path)


def test_a_damaged_record_does_not_hide_the_others(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path), OLD)
    (record(tmp_path, good_run(tmp_path), NEW) / "record.json").write_text("{")
    assert " unreadable " in listed(tmp_path) and " deployed " in listed(tmp_path)
    assert "error" in json.loads(listed(tmp_path, as_json=True))[0]
    with pytest.raises(RecordError):
        shown(tmp_path)


def test_show_tells_parameters_with_origins_and_no_secrets(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path))
    text = shown(tmp_path)
    assert "  HOSTNAME = web\\n1  (clusters/x.yaml:9:5)" in text
    assert "  TOKEN = (secret)  (--env TOKEN)" in text
    assert "sesame" not in text


def test_show_tells_steps_changes_artifacts_and_the_mode(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path))
    text = shown(tmp_path)
    assert "03 set-hostname.configure" in text and "ok, 0.25 s, 1 modified" in text
    assert "modified      /etc/hostname (5 bytes)" in text
    assert "/out/prod.tar, 12.3 MB, sha256 " + "0123456789abcdef" * 4 in text
    assert "mode      isolation strict" in text
    assert "engine    flavour docker, version 20.10" in text
    assert "images    web sha256:1234" in text


def test_show_tells_why_a_deployment_failed(tmp_path: Path) -> None:
    record(tmp_path, failed_run(tmp_path, log("simple-network", "ERROR: bad address")))
    text = shown(tmp_path)
    assert "FAILED: simple-network.configure failed: exit code 1" in text
    assert "    ERROR: bad address" in text and "  try: " in text


def test_changes_are_few_unless_all_are_asked_for(tmp_path: Path) -> None:
    paths = [f"usr/{n}" for n in range(1500)]
    events = step("big", "configure", changed("big", *paths), changes={"modified": 1500})
    record(tmp_path, [run_started(tmp_path), *heard(hello(), *events)])
    few, every = shown(tmp_path), shown(tmp_path, changes=True)
    assert "and 1490 more (--changes shows all)" in few and "/usr/1499" not in few
    assert "/usr/1499" in every and "more (" not in every
    body = json.loads(shown(tmp_path, changes=True, as_json=True))
    assert len(body["changes"][0]["changes"]) == 1500


def test_show_json_is_the_record(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path))
    body = json.loads(shown(tmp_path, as_json=True))
    assert body["outcome"] == "deployed"
    assert body["header"]["parameters"][0]["parameters"][0]["origin"] == "clusters/x.yaml:9:5"
    assert body["results"]["systems"][0]["deployments"][0]["outcome"] == "deployed"


@pytest.mark.parametrize("name", ["talk", "talk.configure", "prod:talk"])
def test_a_steps_whole_log_is_shown(tmp_path: Path, name: str) -> None:
    said = [log("talk", f"line {n}") for n in range(500)] + [log("talk", "bad \udcff \x1b[0m")]
    record(tmp_path, [run_started(tmp_path), *heard(hello(), *step("talk", "configure", *said))])
    lines = shown(tmp_path, log=name).splitlines()
    assert len(lines) == 501
    assert lines[-1] == "bad \\xff \x1b[0m"


def test_a_log_does_not_act_on_a_terminal(tmp_path: Path) -> None:
    events = step("talk", "configure", log("talk", "\x1b[2J\x1b[31m"))
    record(tmp_path, [run_started(tmp_path), *heard(hello(), *events)])
    with Terminal() as terminal:
        show(tmp_path, "last", terminal.stream, log="talk")
    assert terminal.sent == "\\x1b[2J\\x1b[31m\r\n"


def test_logs_of_several_deployments_have_headings(tmp_path: Path) -> None:
    events = [
        *step("talk", "configure", log("talk", "a", of="one"), of="one"),
        *step("talk", "configure", log("talk", "b", of="two"), of="two"),
    ]
    record(tmp_path, [run_started(tmp_path, "one", "two"), *heard(hello(), *events)])
    assert shown(tmp_path, log="talk").splitlines() == [
        "==> [web][one] talk.configure",
        "a",
        "==> [web][two] talk.configure",
        "b",
    ]


def test_an_unknown_step_names_the_steps_and_the_nearest(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path))
    with pytest.raises(UsageError, match="'set-hosname'") as caught:
        shown(tmp_path, log="set-hosname")
    assert "tar.write" in str(caught.value.details)
    assert "set-hostname.configure" in str(caught.value.hint)


def test_an_unknown_run_names_those_that_are_near(tmp_path: Path) -> None:
    record(tmp_path, good_run(tmp_path))
    with pytest.raises(UsageError) as caught:
        shown(tmp_path, OLD.replace("a", "b"))
    assert OLD in str(caught.value.details)
