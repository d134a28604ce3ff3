/** Writers that make, move, change and delete bound ports through any server, and know what there must be afterwards. */
import assert from 'node:assert/strict'
import type { Ask } from './cloud.ts'

export interface PortWriters {
  /** Ports that must exist, with the host each was last bound to. */
  readonly ports: ReadonlyMap<string, string>
  /** Answered operations, by name. */
  readonly done: Readonly<Record<string, number>>
  /** Lets every writer finish its operation; throws what one of them met. */
  stop(): Promise<void>
}

export interface Ground {
  readonly hosts: readonly string[]
  readonly networks: readonly string[]
  readonly groups: readonly string[]
}

const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T

/** Two networks with a subnet each, and two groups that name each other as remote. */
export async function makeGround(ask: Ask, hosts: readonly string[]): Promise<Ground> {
  const make = async (name: string, values: object): Promise<string> => {
    const { status, body } = await ask('POST', `${name.replaceAll('_', '-')}s`, { [name]: values })
    assert.equal(status, 201, JSON.stringify(body))
    return body[name].id
  }
  const networks = [await make('network', { name: 'n0' }), await make('network', { name: 'n1' })]
  for (const network_id of networks) await make('subnet', { network_id, ip_version: 4, cidr: '10.0.0.0/16' })
  const groups = [await make('security_group', { name: 'g0' }), await make('security_group', { name: 'g1' })]
  for (const [index, security_group_id] of groups.entries()) {
    const rule = { security_group_id, direction: 'ingress', protocol: 'tcp', remote_group_id: groups[1 - index] }
    await make('security_group_rule', rule)
  }
  return { hosts, networks, groups }
}

/** Each of `count` writers has ports of its own, so that nobody else's operation explains a loss. */
export function writePorts(ask: Ask, ground: Ground, count: number): PortWriters {
  const ports = new Map<string, string>()
  const done: Record<string, number> = {}
  let stopping = false
  const writer = async (): Promise<void> => {
    const mine: string[] = []
    while (!stopping) {
      const name = mine.length < 5 ? 'create' : pick(['create', 'move', 'change', 'change', 'delete', 'delete'])
      await STEPS[name]?.(ask, ground, mine, ports)
      done[name] = (done[name] ?? 0) + 1
    }
  }
  const running = Array.from({ length: count }, writer)
  const all = Promise.all(running)
  all.catch(() => undefined) // told by stop
  return {
    ports,
    done,
    stop: async () => {
      stopping = true
      await all
    },
  }
}

type Step = (ask: Ask, ground: Ground, mine: string[], ports: Map<string, string>) => Promise<void>

async function answered(
  ask: Ask,
  status: number,
  method: string,
  path: string,
  port?: object,
): Promise<Record<string, string>> {
  const answer = await ask(method, path, port && { port })
  assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`)
  return answer.body?.port
}

const STEPS: Readonly<Record<string, Step>> = {
  create: async (ask, { hosts, networks, groups }, mine, ports) => {
    const host = pick(hosts)
    const wish = { network_id: pick(networks), security_groups: [pick(groups)], device_owner: 'compute:nova' }
    const { id = '' } = await answered(ask, 201, 'POST', 'ports', { ...wish, 'binding:host_id': host })
    mine.push(id)
    ports.set(id, host)
  },
  move: async (ask, { hosts }, mine, ports) => {
    const [id, host] = [pick(mine), pick(hosts)]
    await answered(ask, 200, 'PUT', `ports/${id}`, { 'binding:host_id': host })
    ports.set(id, host)
  },
  change: async (ask, { groups }, mine) => {
    const wish = { security_groups: [pick(groups)], name: `n${Math.floor(Math.random() * 1000)}` }
    await answered(ask, 200, 'PUT', `ports/${pick(mine)}`, wish)
  },
  delete: async (ask, _, mine, ports) => {
    const [id = ''] = mine.splice(Math.floor(Math.random() * mine.length), 1)
    // 404 is the answer when the server died after it had deleted the port.
    const { status } = await ask('DELETE', `ports/${id}`)
    assert.ok(status === 204 || status === 404, `DELETE was answered ${status}`)
    ports.delete(id)
  },
}
