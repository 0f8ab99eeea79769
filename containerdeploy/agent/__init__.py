"""The agent: runs inside a helper, from a Job to Finished. Standard library, wire and syscalls.

boot.py        brings the agent up from its archive
main.py        the life of the agent: lease, hello, job, goodbye
audit.py       what is still there at the end
deployment.py  one deployment: check, base, metadata, configure, write
step.py        one step while it runs
events.py      the event stream: whole lines, split text
lease.py       notices that the controller is gone
identity.py    the extension's user namespace and id-mapped clones of directories
overlay.py     overlay mounts, quoted and checked
layers.py      the layered tree of one deployment
stack.py       several archives as one tree
metadata.py    /baserock/deployment.meta
store.py       bases, workspaces, locks
manifest.py    what a base was made of when it was sealed
verify.py      compares a base with what was recorded of it
unpack.py      an archive into a base, confined
complaints.py  what tar complains of, and what of that is harmless
bounds.py      holds an archive to its size while it is unpacked
tar.py         the words that start tar and what stands before it
survey.py      looks at what was unpacked
loops.py       loop devices that free themselves
grafts.py      mounts their file systems into an extension's room
pin.py         holds an extension to the bytes that were judged
broker.py      answers an extension that was granted loop devices
room.py        the root that a confined process sees
confine.py     starts a process in a room, without what it could do harm with
filter.py      the system call filter, as BPF
controllers.py the kernel's controllers, tried and mounted
cgroups.py     a control group for every step
launcher.py    starts a step's first process inside its group
process.py     runs a program to its end: pipes, outcome
watch.py       which limit is passed, and how the program is ended there
disk.py        when a step has written too much
usage.py       what it holds on disks
ending.py      how a program ended, and what that means
changes.py     what a step changed, read off its upper layer
contract.py    holds a step to what its sidecar says it writes
output.py      where a write extension writes to
artifact.py    what a write extension left, taken safely
trees.py       walks and removes hostile trees by descriptors
failures.py    what ends a deployment, with words for the user
"""
