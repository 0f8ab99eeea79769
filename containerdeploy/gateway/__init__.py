"""Connects for an extension that may reach listed hosts only; standard library and syscalls.

The extension's network namespace has a loopback interface and nothing else. Before the extension
runs, doors are opened in it: listening sockets, handed to a process of ours that stays in the
helper's network. What comes in at a door is judged there, a name is resolved there, and what is
allowed is passed on.

hosts.py       the list, and what it covers
doors.py       the extension's side: listening sockets, /etc/hosts, the proxy variables
addresses.py   which addresses a name may lead to
lookup.py      names to addresses, while the loop goes on
request.py     a proxy request's head, read strictly
body.py        where a request's body ends
connection.py  one connection, from its door to its host
forwarder.py   the loop: all connections of a step, their bounds, what is told of them
process.py     the process that the forwarder is, and the agent's end of it
"""
