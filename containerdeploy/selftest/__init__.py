"""Attacks the isolation on the user's own engine, and tells what held; the tests use it too.

finding.py     what came of one attack; the families of attacks tell in it
ground.py      an engine, a store and a home of the self-test's own
sample.py      the small system that is attacked
attacks/       the scripts that attack (data: nothing here is imported)
attacks.py     these scripts and what they say
extensions.py  the family of hostile extensions
artifacts.py   the family of hostile results
traps.py       what is left where a result should be
careless.py    who takes results without care
resources.py   the family of extensions that use things up
scripted.py    attacks that are extensions of their own
bait.py        sockets of this host's that only who broke out can reach
archives/      the family of hostile archives
control.py     the same attacks where they must succeed
controls.py    what the control can show
host_state.py  what of the host is compared before and after
census.py      what is in the store
inside.py      one program in a helper's container
matrix.py      all findings, as text and as JSON
isolation.py   the whole self-test
"""

from containerdeploy.selftest.finding import Finding as Finding
from containerdeploy.selftest.isolation import FAMILIES as FAMILIES
from containerdeploy.selftest.isolation import attack as attack
from containerdeploy.selftest.matrix import Matrix as Matrix
from containerdeploy.selftest.matrix import to_json_text as to_json_text
from containerdeploy.selftest.matrix import to_text as to_text
