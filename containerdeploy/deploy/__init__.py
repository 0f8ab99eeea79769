"""The hall: all systems of a plan side by side, one event queue, orderly teardown.

hall.py        the run itself
gate.py        nothing is unpacked before all checks have passed
audit.py       what of a run is still there when it is over
headers.py     what is said of a run before it starts
interrupts.py  what ^C means
"""

from containerdeploy.deploy.audit import temporary_files as temporary_files
from containerdeploy.deploy.hall import Listener as Listener
from containerdeploy.deploy.hall import deploy as deploy
from containerdeploy.deploy.headers import Settings as Settings
from containerdeploy.deploy.headers import default_jobs as default_jobs
from containerdeploy.deploy.headers import host_id as host_id
from containerdeploy.deploy.headers import owner_label as owner_label
