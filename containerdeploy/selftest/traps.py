"""What hostile write extensions leave at their location, and what may come of it: data."""

from collections.abc import Mapping

from containerdeploy.frozen import frozen

GOOD, TAKEN, NOTHING = b"good\n", b"x\n", b""
# SECRET is replaced by the path of a file of the host's.
SWAP = """
echo good > "$out"
(while :; do ln -sfn SECRET "$out"; rm -f "$out"; echo good > "$out"; done) & sleep 0.3
"""
DAEMON = """
setsid sh -c 'trap "" TERM HUP INT
while :; do
    rm -f "$0"; echo good > "$0"; mkfifo "$0.new"; mv "$0.new" "$0"; ln -sfn SECRET "$0"
done' "$out" &
sleep 0.3
"""
MARK = """
echo good > "$out"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.overlay.redirect", b"/x")' "$out" 2>&1
exit 0
"""
SOCKET = 'python3 -c "import socket, sys; socket.socket(1).bind(sys.argv[1])" "$out"'
STREAM_REPLACED = """
rm -f "$out" 2>&1; ln -sfn SECRET "$out" 2>&1
echo evil > "$dir/new" 2>&1; mv "$dir/new" "$out" 2>&1; exit 0
"""


@frozen
class Trap:
    """What is done at the location, and what the result may then be; no content is a refusal.

    `output` is what the sidecar declares. A `race` may also end without a result.
    """

    script: str
    contents: tuple[bytes, ...] = ()
    output: str = "any"
    race: bool = False


TRAPS: Mapping[str, Trap] = {
    "link-to-secret": Trap(script='ln -s /etc/passwd "$out"'),
    "link-to-host-secret": Trap(script='ln -s SECRET "$out"'),
    "fifo": Trap(script='mkfifo "$out"'),
    "socket": Trap(script=SOCKET),
    "device": Trap(script='mknod "$out" c 1 3 || exit 9'),
    "directory": Trap(script='mkdir "$out"; ln -s SECRET "$out/x"', output="file"),
    "nothing": Trap(script="true"),
    "sparse-10-TB": Trap(script='truncate -s 10T "$out"'),
    "beside": Trap(script='echo x > "$dir/other"; echo good > "$out"', contents=(GOOD,)),
    "hard-link": Trap(script='echo x > "$dir/a"; ln "$dir/a" "$out"', contents=(TAKEN,)),
    "setuid": Trap(script='echo x > "$out"; chmod 6755 "$out"', contents=(TAKEN,)),
    "marked": Trap(script=MARK, contents=(GOOD,)),
    "swapped": Trap(script=SWAP, contents=(GOOD, NOTHING), race=True),
    "swapped-by-a-daemon": Trap(script=DAEMON, contents=(GOOD, NOTHING), race=True),
    "written-later": Trap(
        script='echo good > "$out"; (sleep 0.2; echo evil > "$out") & exit 0', contents=(GOOD,)
    ),
    "parent-replaced": Trap(
        script='rmdir "$dir" 2>&1; mv "$dir" /tmp/x 2>&1; echo good > "$out"', contents=(GOOD,)
    ),
    "escaping": Trap(
        script='echo x > "$dir/../planted" 2>&1; echo good > "$out"', contents=(GOOD,)
    ),
    "stream-replaced": Trap(script=STREAM_REPLACED, output="stream"),
    "stream-kept-open": Trap(
        script='echo good > "$out"; (exec 9> "$out"; sleep 0.3; echo evil >&9) & exit 0',
        contents=(GOOD,),
        output="stream",
    ),
}
