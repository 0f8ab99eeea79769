"""python -m containerdeploy: the same as the command."""

from containerdeploy.cli import main

main()
