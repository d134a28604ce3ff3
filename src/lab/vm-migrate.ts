/**
 * A VM moved from host to host as Nova moves one: its calls to the API in its order, the device on the target before
 * the guest runs there, and between them the moment in which the guest stops here and goes on there. What stands for
 * its memory is its namespace, which stays: connections outlive the move.
 */
import { type Api, getPort, waitForStatus } from './api.ts'
import { inNamespace, ipBatch, run, tryRun, waitFor } from './exec.ts'
import { hostNames } from './hosts.ts'
import { hostNamespace, vmNamespace } from './names.ts'
import { guardDevice, unguardDevice, vsctl } from './ovs.ts'
import { type Lab, type VmState, writeVm } from './state.ts'
import { INTEGRATION_BRIDGE, plugArguments, readAddresses } from './vm.ts'

/** The device of the guest on the target, until it is the guest's only one. */
const LEG = 'next0'
const PATIENCE = 10_000

export interface Migration {
  readonly vm: VmState
  /** How long the guest stood still, in milliseconds. */
  readonly pausedMs: number
}

/**
 * Moves the VM; rejects with one sentence, and the VM where it was, when the target refuses it or does not make ready
 * within 10 s.
 */
export async function migrateVm(lab: Lab, api: Api, vm: VmState, to: string): Promise<Migration> {
  if (!hostNames(lab).includes(to)) throw new Error(`there is no host ${to}; there are ${hostNames(lab).join(', ')}`)
  if (vm.host === to) throw new Error(`VM ${vm.name} is on ${to} already`)
  await requireServerPort(api, vm.portId)
  const bindings = `ports/${vm.portId}/bindings`
  await api.call('POST', bindings, { binding: { host: to } })
  const moved = { ...vm, host: to }
  try {
    await plugLeg(lab, moved)
    await waitUntilReady(api, moved)
  } catch (error) {
    await unplugTap(lab, moved)
    await api.call('DELETE', `${bindings}/${to}`)
    throw error
  }
  const [pausedMs] = await Promise.all([carryOver(lab, vm), api.call('PUT', `${bindings}/${to}/activate`)])
  await writeVm(lab.paths, moved)
  const status = await waitForStatus(api, vm.portId, 'ACTIVE', PATIENCE)
  if (status !== 'ACTIVE') throw new Error(`VM ${vm.name} runs on ${to}, but port ${vm.portId} is ${status}`)
  await unplugTap(lab, vm)
  await api.call('DELETE', `${bindings}/${vm.host}`)
  return { vm: moved, pausedMs }
}

/** Only ports of servers have further bindings; Nova makes a port one when it takes it. */
async function requireServerPort(api: Api, portId: string): Promise<void> {
  const { device_owner: owner } = (await getPort(api, portId)) as unknown as { device_owner: string }
  if (owner.startsWith('compute:')) return
  const mend = `openstack port set --device-owner compute:nova --device $(uuidgen) ${portId}`
  throw new Error(`port ${portId} is no server's port, and only those migrate; make it one: ${mend}`)
}

/** A second device, down: whoever does not run here says nothing here. */
async function plugLeg(lab: Lab, vm: VmState): Promise<void> {
  const [ns, host] = [vmNamespace(lab.spec.name, vm.name), hostNamespace(lab.spec.name, vm.host)]
  const ends = `address ${vm.mac} type veth peer name ${vm.tap} netns ${host} mtu ${vm.mtu}`
  await ipBatch(null, [`link add ${LEG} netns ${ns} mtu ${vm.mtu} ${ends}`])
  await ipBatch(host, [`link set ${vm.tap} addrgenmode none up`])
  await run(inNamespace(ns, ['ethtool', '-K', LEG, 'tx', 'off']))
  await guardDevice(lab, vm.host, vm.tap)
  await vsctl(lab, vm.host, ['--no-wait', ...plugArguments(vm, lab.spec.datapath)])
}

/** Nova is told by an event, `network-vif-plugged`; this asks for what the host reports. */
async function waitUntilReady(api: Api, { portId, host }: VmState): Promise<void> {
  const { revision_number: generation } = (await getPort(api, portId)) as unknown as { revision_number: number }
  const query = `realizations?host=${host}&kind=port&id=${portId}`
  let said = 'nothing'
  const ready = await waitFor(
    async () => {
      const [seen] = (await api.call('GET', query))['realizations'] as {
        generation: number
        state: string
        message: string | null
      }[]
      if (!seen || seen.generation < generation) return false
      said = `'${seen.state}${seen.message === null ? '' : `: ${seen.message}`}'`
      return seen.state === 'done'
    },
    { timeout: PATIENCE, every: 50 },
  )
  if (!ready) throw new Error(`${host} did not make port ${portId} ready within ${PATIENCE / 1000} s; it says ${said}`)
}

/** The guest stops on one host and goes on on the other: addresses and routes change devices. Answers how long it took. */
async function carryOver(lab: Lab, { name }: VmState): Promise<number> {
  const ns = vmNamespace(lab.spec.name, name)
  const [addresses, routes] = await Promise.all([addressLines(lab, name), routeLines(ns)])
  const begin = performance.now()
  await ipBatch(ns, [
    'link set eth0 down',
    'link set eth0 name past0',
    `link set ${LEG} name eth0`,
    ...addresses,
    'link set eth0 up',
    ...routes,
  ])
  return performance.now() - begin
}

const addressLines = async (lab: Lab, name: string): Promise<string[]> =>
  (await readAddresses(lab, name)).map((it) => `addr add ${it} dev eth0${it.includes(':') ? ' nodad' : ''}`)

/** Those the kernel does not make by itself with an address. */
async function routeLines(ns: string): Promise<string[]> {
  const families = ['-4', '-6'].map((family) => run(['ip', '-n', ns, '-j', family, 'route', 'show', 'dev', 'eth0']))
  const routes = (await Promise.all(families)).flatMap(
    (text) => JSON.parse(text) as { dst: string; gateway?: string }[],
  )
  return routes.flatMap(({ dst, gateway }) => (gateway ? [`route replace ${dst} via ${gateway} dev eth0 onlink`] : []))
}

/** Takes the VM's device out of its host's switch, and both ends of it away. */
async function unplugTap(lab: Lab, { host, tap }: VmState): Promise<void> {
  await unguardDevice(lab, host, tap)
  await vsctl(lab, host, ['--no-wait', '--if-exists', 'del-port', INTEGRATION_BRIDGE, tap])
  await tryRun(['ip', '-n', hostNamespace(lab.spec.name, host), 'link', 'del', tap])
}
