"""A client's command, `openstack` or `neutron` by the first argument, many times in one process.

Each line of standard input is a JSON array of arguments, answered on standard output by {"code", "out", "err"}. Starting
Python, finding the plugins and asking for a token cost seconds; so there is one shell, as when it is started
without a command, and the lines are what a user types there. The client keeps its connection in the class: one user
(that of the OS_ variables) a process.
"""
import io
import json
import logging
import os
import sys


answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


if sys.argv[1] == "neutron":
    from neutronclient import shell

    def make(kind):
        return kind(shell.NEUTRON_API_VERSION)

    base = shell.NeutronShell
else:
    from openstackclient import shell

    def make(kind):
        return kind()

    base = shell.OpenStackShell


class Shell(base):
    """Does not ask for commands: they are given to `call`."""

    def interact(self):
        return 0

    def call(self, argv):
        """What the command wrote, and its exit code."""
        kept = sys.stdout, sys.stderr
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        sys.stdout, sys.stderr = self.stdout, self.stderr
        complaints = logging.StreamHandler(self.stderr)
        complaints.setLevel(logging.WARNING)
        logging.getLogger().handlers = [complaints]
        try:
            code = self.run_subcommand(argv)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception as error:  # what would be a traceback on the terminal
            code = 70
            self.stderr.write(f"{type(error).__name__}: {error}")
        finally:
            sys.stdout, sys.stderr = kept
        return {"code": code or 0, "out": self.stdout.getvalue(), "err": self.stderr.getvalue()}


user = make(Shell)
user.run([])
for line in sys.stdin:
    answers.write(json.dumps(user.call(json.loads(line))) + "\n")
    answers.flush()
