"""Folds what happens in a run into results, and keeps the run's record.

happenings.py  what can happen in a run
outcomes.py    what came out of it: run, systems, deployments, steps
ledger.py      happenings to outcomes, in bounded memory
verdict.py     what became of each deployment
tail.py        the last lines of a text of any length
codec.py       these values to JSON and back
lock.py        who is still running
record.py      writes a run's directory: record.json, events.jsonl, logs/
archive.py     finds and reads the records of earlier runs
names.py       run ids and file names
values.py      what the caller tells of a run at its start
masking.py     secret values taken out of what helpers say
"""

from containerdeploy.result.archive import Record as Record
from containerdeploy.result.archive import RecordError as RecordError
from containerdeploy.result.archive import RunState as RunState
from containerdeploy.result.archive import RunSummary as RunSummary
from containerdeploy.result.archive import find_run as find_run
from containerdeploy.result.archive import list_runs as list_runs
from containerdeploy.result.archive import load_record as load_record
from containerdeploy.result.archive import read_changes as read_changes
from containerdeploy.result.archive import state_of as state_of
from containerdeploy.result.codec import happening_from_json as happening_from_json
from containerdeploy.result.codec import happening_to_json as happening_to_json
from containerdeploy.result.codec import to_json as to_json
from containerdeploy.result.happenings import Delivered as Delivered
from containerdeploy.result.happenings import Happening as Happening
from containerdeploy.result.happenings import Heard as Heard
from containerdeploy.result.happenings import RunFinished as RunFinished
from containerdeploy.result.happenings import RunStarted as RunStarted
from containerdeploy.result.happenings import SystemFinished as SystemFinished
from containerdeploy.result.happenings import SystemStarted as SystemStarted
from containerdeploy.result.ledger import Ledger as Ledger
from containerdeploy.result.lock import RunLock as RunLock
from containerdeploy.result.lock import is_live as is_live
from containerdeploy.result.lock import liveness as liveness
from containerdeploy.result.masking import Masking as Masking
from containerdeploy.result.names import new_run_id as new_run_id
from containerdeploy.result.outcomes import ArtifactResult as ArtifactResult
from containerdeploy.result.outcomes import Audit as Audit
from containerdeploy.result.outcomes import DeploymentResult as DeploymentResult
from containerdeploy.result.outcomes import RunResult as RunResult
from containerdeploy.result.outcomes import StepResult as StepResult
from containerdeploy.result.outcomes import SystemResult as SystemResult
from containerdeploy.result.record import RunRecord as RunRecord
from containerdeploy.result.values import DeploymentParameters as DeploymentParameters
from containerdeploy.result.values import RecordedParameter as RecordedParameter
from containerdeploy.result.values import RunHeader as RunHeader
from containerdeploy.result.values import secret_values as secret_values
