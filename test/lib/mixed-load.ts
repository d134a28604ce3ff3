/** A mixed load on the core: networks, subnets, ports and security groups made, changed, shared and deleted at random. */
import { ApiError } from '#kernel/errors.ts'
import type { Core } from '#core/operation.ts'
import { direct, type Direct, kindOf } from './direct.ts'

export interface Load {
  /** What was answered, by operation. */
  readonly done: Readonly<Record<string, number>>
  /** Errors that a client of a racing system must expect: objects gone or in use, addresses taken. */
  readonly refused: Readonly<Record<string, number>>
  /** Every other error. */
  readonly failed: readonly string[]
}

export interface LoadOptions {
  readonly workers: number
  /** Operations altogether. */
  readonly steps: number
  /** Errors besides the expected that do not count as failures. */
  readonly tolerate?: (error: unknown) => boolean
  /** Told of every create that was answered, and of every delete that is tried. */
  readonly onMade?: (kind: string, id: string) => void
  readonly onRemoving?: (kind: string, id: string) => void
}

interface Pools {
  readonly network: string[]
  readonly subnet: string[]
  readonly port: string[]
  readonly security_group: string[]
  readonly security_group_rule: string[]
}

const EXPECTED = new Set([404, 409, 400])
const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(Math.random() * from.length)]

export async function mixedLoad(core: Core, options: LoadOptions): Promise<Load> {
  const pools: Pools = { network: [], subnet: [], port: [], security_group: [], security_group_rule: [] }
  const done: Record<string, number> = {}
  const refused: Record<string, number> = {}
  const failed: string[] = []
  let left = options.steps
  const worker = async (number: number): Promise<void> => {
    const client = direct(core, `p${number % 3}`)
    while (left-- > 0) {
      const [name, action] = step(client, pools, options)
      try {
        await action()
        done[name] = (done[name] ?? 0) + 1
      } catch (error) {
        const kind = kindOf(error)
        if (error instanceof ApiError && EXPECTED.has(error.status)) refused[kind] = (refused[kind] ?? 0) + 1
        else if (!options.tolerate?.(error)) failed.push(`${name}: ${kind} ${(error as Error).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: options.workers }, (_, number) => worker(number)))
  return { done, refused, failed }
}

type Step = readonly [name: string, action: () => Promise<unknown>]

function step(client: Direct, pools: Pools, options: LoadOptions): Step {
  const make = async (kind: keyof Pools, values: object): Promise<void> => {
    const { id } = await client.make(kind, { ...values })
    options.onMade?.(kind, id)
    pools[kind].push(id)
  }
  const remove = async (kind: keyof Pools): Promise<void> => {
    const [id] = pools[kind].splice(Math.floor(Math.random() * pools[kind].length), 1)
    if (id === undefined) return
    options.onRemoving?.(kind, id)
    try {
      await client.remove(kind, id)
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) pools[kind].push(id)
      throw error
    }
  }
  const change = async (kind: keyof Pools, values: object): Promise<void> => {
    const id = pick(pools[kind])
    if (id !== undefined) await client.update(kind, id, { ...values })
  }
  const network_id = pick(pools.network)
  const security_group_id = pick(pools.security_group)
  const octet = Math.floor(Math.random() * 12)
  const name = `n${Math.floor(Math.random() * 1000)}`
  const steps: readonly (readonly [weight: number, ...Step])[] = [
    [network_id && pools.network.length > 6 ? 0 : 3, 'create network', () => make('network', { name })],
    [2, 'update network', () => change('network', { name })],
    [2, 'share network', () => change('network', { shared: Math.random() < 0.5 })],
    [1, 'delete network', () => remove('network')],
    [
      network_id ? 4 : 0,
      'create subnet',
      () => make('subnet', { network_id, ip_version: 4, cidr: `10.0.${octet}.0/26` }),
    ],
    [2, 'update subnet', () => change('subnet', { enable_dhcp: Math.random() < 0.5 })],
    [2, 'delete subnet', () => remove('subnet')],
    [network_id ? 10 : 0, 'create port', () => make('port', { network_id, name })],
    [4, 'update port', () => change('port', { name })],
    [4, 'delete port', () => remove('port')],
    [1, 'create security group', () => make('security_group', { name })],
    [
      security_group_id ? 2 : 0,
      'create rule',
      () =>
        make('security_group_rule', {
          security_group_id,
          direction: 'ingress',
          protocol: 'tcp',
          port_range_min: octet + 1,
          port_range_max: octet + 1,
        }),
    ],
    [1, 'delete rule', () => remove('security_group_rule')],
    [1, 'delete security group', () => remove('security_group')],
  ]
  let at = Math.random() * steps.reduce((sum, [weight]) => sum + weight, 0)
  const [, chosen, action] = steps.find(([weight]) => (at -= weight) < 0) ?? (steps[0] as (typeof steps)[number])
  return [chosen, action]
}
