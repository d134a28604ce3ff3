/** Endpoints for tests of ToRs without a server: two below a ToR each, by VLANs, and one on native VXLAN. */
import assert from 'node:assert/strict'
import { inNamespace, ipBatch, run, tryRun, waitFor, words } from '#lab/exec.ts'
import { hostNamespace, vmNamespace } from '#lab/names.ts'
import { guardDevice, vsctl } from '#lab/ovs.ts'
import type { Lab } from '#lab/state.ts'

export const VNI = 5001

export interface Endpoint {
  readonly name: string
  readonly host: string
  /** Null: not tagged. */
  readonly vlan: number | null
  readonly ip: string
  readonly mac: string
}
export const a: Endpoint = { name: 'a', host: 'h1', vlan: 101, ip: '10.9.0.1', mac: '02:00:00:00:09:01' }
export const b: Endpoint = { name: 'b', host: 'h2', vlan: 202, ip: '10.9.0.2', mac: '02:00:00:00:09:02' }
export const c: Endpoint = { name: 'c', host: 'h3', vlan: null, ip: '10.9.0.3', mac: '02:00:00:00:09:03' }
export const all = [a, b, c]

/** A namespace on a bridge of a host; where it has a VLAN, that bridge tags its frames. */
export const plug = async (lab: Lab, { name, host, vlan, ip, mac }: Endpoint, bridge: string): Promise<void> => {
  const [ns, hostNs] = [vmNamespace(lab.spec.name, name), hostNamespace(lab.spec.name, host)]
  await run(['ip', 'netns', 'add', ns])
  await ipBatch(null, [`link add eth0 netns ${ns} address ${mac} type veth peer name ep-${name} netns ${hostNs}`])
  await ipBatch(hostNs, [`link set ep-${name} addrgenmode none up`])
  await ipBatch(ns, ['link set eth0 addrgenmode none up', `addr add ${ip}/24 dev eth0`])
  await run(inNamespace(ns, ['ethtool', '-K', 'eth0', 'tx', 'off']))
  await vsctl(lab, host, ['--may-exist', 'add-br', bridge, '--', 'set', 'Bridge', bridge, 'datapath_type=netdev'])
  await vsctl(lab, host, ['add-port', bridge, `ep-${name}`, ...(vlan === null ? [] : [`tag=${vlan}`])])
  await guardDevice(lab, host, `ep-${name}`)
}

/** The native host's tunnels; protected ports do not speak to each other, so that no copy goes round. */
export const tunnelTo = (lab: Lab, tor: string, address: string): Promise<string> => {
  const options = `type=vxlan options:key=${VNI} options:remote_ip="${address}"`
  return vsctl(
    lab,
    'h3',
    words(`add-port br-int vx-${tor} -- set Interface vx-${tor} ${options} -- set Port vx-${tor} protected=true`),
  )
}

export const reaches = async (lab: Lab, from: Endpoint, to: Endpoint, count: number): Promise<number> => {
  const argv = ['ping', '-c', String(count), '-i', '0.1', '-W', '1', to.ip]
  const { stdout } = await tryRun(inNamespace(vmNamespace(lab.spec.name, from.name), argv))
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0)
}
/** Waits until everybody reaches everybody, then wants no packet lost. */
export const everybodyReaches = async (lab: Lab, endpoints: readonly Endpoint[]): Promise<void> => {
  for (const from of endpoints)
    for (const to of endpoints.filter((one) => one !== from)) {
      const began = await waitFor(async () => (await reaches(lab, from, to, 1)) === 1, { timeout: 25_000, every: 200 })
      assert.ok(began, `${from.name} does not reach ${to.name}`)
    }
  for (const from of endpoints)
    for (const to of endpoints.filter((one) => one !== from))
      assert.equal(await reaches(lab, from, to, 5), 5, `${from.name} to ${to.name}`)
}
