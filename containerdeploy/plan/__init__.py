"""Turns definitions, extensions and options into a frozen plan of all that will happen; pure.

model.py       the plan: systems, deployments, steps, parameters
options.py     what the command line asked for, and the catalogue of what was found
arguments.py   names and NAME.KEY=VALUE of the command line against the cluster's names
settings.py    precedence: what every deployment's settings are in the end
places.py      where a deployment goes: type, location, target
targets.py     the paths of this host that are written to
parameters.py  settings and sidecars to parameters, checked
partial.py     which components a partial deployment is made from
grants.py      privileges that extensions ask for, held against the policy
limits.py      what a step may use up, and who says so
judging.py     the finished plan held against the policy
metadata.py    the text of deployment.meta
make.py        all of it together
"""

from containerdeploy.plan.arguments import split_words as split_words
from containerdeploy.plan.make import make_plan as make_plan
from containerdeploy.plan.model import Isolation as Isolation
from containerdeploy.plan.model import Parameter as Parameter
from containerdeploy.plan.model import Plan as Plan
from containerdeploy.plan.model import PlannedComponent as PlannedComponent
from containerdeploy.plan.model import PlannedDeployment as PlannedDeployment
from containerdeploy.plan.model import PlannedSource as PlannedSource
from containerdeploy.plan.model import PlannedStep as PlannedStep
from containerdeploy.plan.model import PlannedSystem as PlannedSystem
from containerdeploy.plan.model import Verb as Verb
from containerdeploy.plan.options import Catalogue as Catalogue
from containerdeploy.plan.options import Options as Options
from containerdeploy.plan.places import Refusal as Refusal
from containerdeploy.plan.places import destination as destination
from containerdeploy.plan.settings import ResolvedDeployment as ResolvedDeployment
from containerdeploy.plan.settings import resolve as resolve
