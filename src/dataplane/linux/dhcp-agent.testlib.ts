/**
 * An agent's DHCP part as a process, so that a test can run it in another network namespace and kill it. Arguments:
 * state folder, host tag. A line in: `{wants, inSync}`; a line out: `{outcome}`, `{dirty}` or
 * `{remake}`.
 */
import { createInterface } from 'node:readline'
import { silentLogger } from '#kernel/log.ts'
import { createDhcp } from './dhcp.ts'
import type { DhcpWant } from './dhcp-want.ts'

const [stateDir = '', hostTag = ''] = process.argv.slice(2)
const say = (message: unknown): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const dhcp = createDhcp({
  stateDir,
  hostTag,
  log: silentLogger,
  watchMs: 200,
  remake: async (device) => void say({ remake: device }),
})
dhcp.onDirty((dirty) => say({ dirty }))
for await (const line of createInterface({ input: process.stdin })) {
  const { wants, inSync } = JSON.parse(line) as { wants: DhcpWant[]; inSync: boolean }
  const outcome = await dhcp.reconcile(wants, inSync)
  say({ outcome: Object.fromEntries([...outcome].map(([network, error]) => [network, error?.message ?? null])) })
}
await dhcp.close()
