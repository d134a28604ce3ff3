/** Tempest: its workspace and configuration, the list of tests, and a run whose results come as they happen. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PASSWORD, REGION } from './keystone.ts'
import { debianEnv, runProgram, startProgram } from './process.ts'
import { createGatherer, type Finished } from './results.ts'
import { createReader } from './subunit.ts'

/** What is tested: the API; scenarios need virtual machines. */
const SELECTION =
  '^(tempest\\.api\\.network|neutron_tempest_plugin\\.api|neutron_tempest_plugin\\.neutron_dynamic_routing\\.api)\\.'

export interface TempestOptions {
  readonly folder: string
  readonly keystone: string
  readonly publicNetwork: string | null
  readonly extensions: readonly string[]
}

const tempestConf = ({ folder, keystone, publicNetwork, extensions }: TempestOptions): string => `[DEFAULT]
log_dir = ${folder}/log
[oslo_concurrency]
lock_path = ${folder}/lock
[auth]
use_dynamic_credentials = true
admin_username = admin
admin_password = ${PASSWORD}
admin_project_name = admin
admin_domain_name = Default
tempest_roles = member
create_isolated_networks = false
[identity]
auth_version = v3
uri_v3 = ${keystone}
region = ${REGION}
default_domain_id = default
[identity-feature-enabled]
api_v2 = false
api_v3 = true
[service_available]
neutron = true
nova = false
glance = false
cinder = false
swift = false
horizon = false
[network]
${publicNetwork === null ? '' : `public_network_id = ${publicNetwork}\nfloating_network_name = public`}
project_network_cidr = 10.100.0.0/16
project_network_mask_bits = 28
[network-feature-enabled]
ipv6 = true
ipv6_subnet_attributes = true
port_security = true
floating_ips = true
port_admin_state_change = true
api_extensions = ${extensions.join(',')}
[neutron_plugin_options]
available_type_drivers = local,flat,vlan,vxlan,gre
agent_availability_zone = nova
create_shared_resources = true
provider_vlans = physnet1
l3_agent_mode = legacy
q_agent = ovs
firewall_driver = openvswitch
[validation]
run_validation = false
`

const env = (folder: string): NodeJS.ProcessEnv => ({
  ...debianEnv(folder),
  // sitecustomize.py: what Debian's tempest should not wait for.
  PYTHONPATH: join(import.meta.dirname, 'python'),
  PYTHONDONTWRITEBYTECODE: '1',
})

const workspace = (folder: string): string => join(folder, 'workspace')
const tempest = (...args: string[]): string[] => ['/usr/bin/tempest', ...args]

// A class's tests share what its setUpClass made: they stay in one process.
const STESTR_CONF = `[DEFAULT]
test_path = /usr/lib/python3/dist-packages/tempest/test_discover
top_dir = /usr/lib/python3/dist-packages/tempest
group_regex = ([^\\.]*\\.)*
`

/** Writes the workspace: configuration of tempest and stestr, and a clean record of runs. */
export const prepareTempest = (options: TempestOptions): void => {
  const { folder } = options
  rmSync(workspace(folder), { recursive: true, force: true })
  for (const name of ['lock', 'log', 'workspace/etc']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(workspace(folder), '.stestr.conf'), STESTR_CONF)
  writeFileSync(join(workspace(folder), 'etc/tempest.conf'), tempestConf(options))
  runProgram(['/usr/bin/stestr', 'init'], { env: env(folder), cwd: workspace(folder) })
}

/** Ids of all tests of the selection. */
export const listTests = (folder: string): string[] => {
  const cwd = workspace(folder)
  const list = tempest('run', '--config-file', 'etc/tempest.conf', '--list-tests', '--regex', SELECTION)
  return runProgram(list, { env: env(folder), cwd })
    .split('\n')
    .filter((line) => /^[a-z_.]+\..*\[.*id-/.test(line))
    .sort()
}

export interface RunOptions {
  readonly folder: string
  readonly tests: readonly string[]
  readonly concurrency: number
  readonly minutes: number
  readonly onFinished: (finished: Finished) => void
}

/** Runs `tests`; answers how tempest ended, or `time limit`. */
export const runTests = async (stack: AsyncDisposableStack, options: RunOptions): Promise<number | string> => {
  const { folder, tests, concurrency, minutes, onFinished } = options
  const list = join(folder, 'tests.txt')
  writeFileSync(list, `${tests.join('\n')}\n`)
  const argv = tempest('run', '--config-file', 'etc/tempest.conf', '--subunit', '--load-list', list)
  const program = startProgram(stack, {
    argv: [...argv, '--concurrency', String(concurrency)],
    log: join(folder, 'tempest.out'),
    env: env(folder),
    cwd: workspace(folder),
    stdout: 'pipe',
  })
  const read = createReader()
  const gather = createGatherer()
  program.child.stdout?.on('data', (chunk: Buffer) => {
    for (const packet of read(chunk)) {
      const finished = gather(packet)
      if (finished) onFinished(finished)
    }
  })
  const limit = Promise.withResolvers<string>()
  const timer = setTimeout(() => limit.resolve('time limit'), minutes * 60_000)
  const drained = new Promise<number | string>((resolve) => {
    program.child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  const how = await Promise.race([drained, limit.promise])
  clearTimeout(timer)
  if (how === 'time limit') await program.stop()
  return how
}
