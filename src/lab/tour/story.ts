/**
 * `lab tour`: the whole way of a change, told while it happens, from the stock command line to packets that arrive,
 * or do not. Every claim is checked on the wire and ends in the closing table.
 */
import { type Api, getPort, type PortFacts } from '../api.ts'
import { labApi } from '../lifecycle.ts'
import { openstackWith, type Row, sideBySide } from './openstack.ts'
import { type Lab, listVms, type VmState } from '../state.ts'
import { duration } from '../text.ts'
import { addVm } from '../vm-add.ts'
import { unplugVm } from '../vm.ts'
import { isolation, reachability, restarts, securityGroups, selfRepair } from './acts.ts'
import { leftBehind, named, networkCommands, portCommand, roles, subnetCommands } from './cast.ts'
import type { Stage } from './stage.ts'

/** How many steps and proofs there are, for the progress display. */
export const STEPS = 24

/** Plays the tour in a lab that is up. Answers whether everything held; what it made stays for `clearTour`. */
export const playTour = async (lab: Lab, stage: Stage): Promise<boolean> => {
  const api = await labApi(lab)
  await clearTour(lab, api)
  try {
    const ports = await commandLine(lab, stage)
    await portsAreDown(api, stage, ports)
    const scene = { lab, api, stage, vms: await plugging(lab, api, stage, ports) }
    for (const act of [reachability, isolation, securityGroups, selfRepair, restarts]) await act(scene)
  } catch (error) {
    stage.breakOff(error)
  }
  return stage.close()
}

const commandLine = async (lab: Lab, stage: Stage): Promise<PortFacts[]> => {
  stage.act(
    'The stock openstack command line',
    'Two networks with the same prefix 10.0.0.0/24, a security group, six ports on three hosts. Commands that do not depend on each other run side by side; most of the time is the start of Python.',
  )
  const openstack = await openstackWith(lab.spec.server?.openrc ?? '')
  const wave = async (label: string, commands: readonly string[]): Promise<Row[]> => {
    for (const command of commands) stage.tell(`$ openstack ${command}`)
    return stage.step(label, () => sideBySide(openstack, commands))
  }
  await wave('two networks, one security group', networkCommands)
  await wave('two subnets with one prefix, one rule', subnetCommands)
  const ports = await wave('six ports', roles.map(portCommand))
  return ports as unknown as PortFacts[]
}

const portsAreDown = async (api: Api, stage: Stage, ports: readonly PortFacts[]): Promise<void> => {
  await stage.prove('a bound port without a VM is DOWN', async () => {
    const now = await Promise.all(ports.map(({ id }) => getPort(api, id)))
    const down = now.filter(({ status }) => status === 'DOWN').length
    const bound = now.filter((port) => port['binding:vif_type'] === 'ovs').length
    return { holds: down === now.length && bound === now.length, seen: `${down} of ${now.length} DOWN, ${bound} bound` }
  })
}

interface Arrival {
  readonly vm: VmState
  /** Milliseconds from the order to the lease, and to ACTIVE. */
  readonly leased: number
}

const plugging = async (
  lab: Lab,
  api: Api,
  stage: Stage,
  ports: readonly PortFacts[],
): Promise<Map<string, VmState>> => {
  stage.act(
    'Six VMs',
    'Namespaces plugged into br-int as Nova plugs an instance: a tap with external_ids:iface-id. Each runs a real DHCP client.',
  )
  const arrive = async (vm: string, host: string, port: PortFacts): Promise<Arrival> => {
    const began = performance.now()
    const state = await addVm(lab, api, { name: named(vm), port: port.id, host, dhcp: true })
    return { vm: state, leased: performance.now() - began }
  }
  const arrivals = await stage.step(
    'six VMs plugged, each has its lease',
    () => Promise.all(roles.map(({ vm, host }, index) => arrive(vm, host, ports[index] as PortFacts))),
    (all) => `six VMs plugged, each has its lease (slowest ${duration(Math.max(...all.map(({ leased }) => leased)))})`,
  )
  const vms = new Map(roles.map(({ vm }, index) => [vm, arrivals[index]?.vm as VmState]))
  await stage.prove('DHCP gives each VM the address of its port', async () => {
    const right = roles.filter(({ vm, ip }) => vms.get(vm)?.addresses.some((address) => address.startsWith(`${ip}/`)))
    return { holds: right.length === roles.length, seen: `${right.length} of ${roles.length} leases are right` }
  })
  await stage.prove('ports are ACTIVE once their flows are proven', () => allActive(api, ports))
  return vms
}

const allActive = async (api: Api, ports: readonly PortFacts[]) => {
  const began = performance.now()
  for (;;) {
    const now = await Promise.all(ports.map(({ id }) => getPort(api, id)))
    const active = now.filter(({ status }) => status === 'ACTIVE').length
    const waited = performance.now() - began
    if (active === now.length || waited > 10_000)
      return {
        holds: active === now.length,
        seen: `${active} of ${now.length} ACTIVE, ${duration(waited)} after the last lease`,
      }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Removes what a tour made, in this run or an earlier one that was killed. */
export const clearTour = async (lab: Lab, api: Api): Promise<void> => {
  const names = new Set(roles.map(({ vm }) => named(vm)))
  const vms = (await listVms(lab.paths)).filter(({ name }) => names.has(name))
  await Promise.all(vms.map((vm) => unplugVm(lab, vm)))
  for (const [collection, name] of leftBehind) {
    const found = (await api.call('GET', `${collection}?name=${name}&fields=id`))[collection.replaceAll('-', '_')]
    for (const { id } of found as { id: string }[]) await api.call('DELETE', `${collection}/${id}`)
  }
}
