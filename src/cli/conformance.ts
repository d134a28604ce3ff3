/** `deuteron conformance`: real Keystone and tempest against this server. A program of its own; we become it. */
import { become } from '#launch/become.ts'
import { ensurePackages } from '#launch/packages.ts'
import type { Command } from './command.ts'

export const conformanceCommand: Command = {
  usage: 'conformance [--only REGEX] [--list FILE] [--state DIR] [--port BASE] [OPTIONS]',
  help: `
Runs the API tests of tempest and neutron-tempest-plugin, as Debian packages them, with a Keystone of its own
against this server and simulated hosts, and compares each result with that of a real Neutron. Fails when a test
that passed once (conformance/passed.tsv) does not pass, or the database is inconsistent afterwards.
As root, missing Debian packages are installed.

  --only REGEX      tests whose id matches, as test_ports or PortsTestJSON
  --list FILE       tests named in FILE, one a line
  --rerun-failures  tests that failed in the last run on --state DIR
  --concurrency N   test processes (2)
  --minutes N       cut the run off after N minutes; what had finished counts (90)
  --state DIR       folder of logs, results.tsv and failures/; kept, and Keystone in it is used again
  --keep            keep the folder that is made without --state
  --stay            leave everything running after the tests, until Ctrl-C
  --port BASE       Keystone on BASE, API on BASE+1, agents on BASE+2 (free ports)
  --workers N       API processes of the server (0: one process for all)
  --hosts N         simulated hosts (3)
  --faults N        one of N writing transactions fails as a deadlock or a serialization failure
  --kill S          kill the server every S seconds or so and start it again; judges the database only
  --record          add what passed to conformance/passed.tsv`,

  run: async (args, { root, env, out }) => {
    await ensurePackages('conformance', (line) => out.note(line))
    return become(root, 'conformance/run.ts', args, env, null)
  },
}
