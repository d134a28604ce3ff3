"""Loaded by every Python that the conformance run starts, before anything else.

Debian's tempest sleeps ten seconds on the client before it deletes a subnet; here that wait is left out, and only
that one: any other caller sleeps as it asked.
"""
import sys
import time

_sleep = time.sleep
_IMPATIENT = 'tempest.lib.services.network.subnets_client'


def _sleep_unless_impatient(seconds):
    if sys._getframe(1).f_globals.get('__name__') != _IMPATIENT:
        _sleep(seconds)


time.sleep = _sleep_unless_impatient
