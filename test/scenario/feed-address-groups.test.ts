/** Rules that name address groups: every host has one rule for each prefix, and hears when the group changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inTransaction } from '#store/transaction.ts'
import { createRig, idOf, type Rig, until } from './feed-rig.ts'

/** Makes an address group what it shall hold, with its change row. */
const addressGroup = (rig: Rig, name: string, addresses: readonly string[]): Promise<void> =>
  written(rig, 'address_group', idOf(name), {}, [
    `insert into address_groups values ($1, 'p', '', '', $2, '{}', 1, now(), now())
      on conflict (id) do update set addresses = $2`,
    [idOf(name), JSON.stringify(addresses)],
  ])

const rule = (rig: Rig, group: string, address: string, ethertype: string): Promise<void> => {
  const security_group_id = idOf(group)
  return written(rig, 'security_group_rule', idOf(`${group} ${address} ${ethertype}`), { security_group_id }, [
    `insert into security_group_rules (id, security_group_id, direction, ethertype, remote_address_group_id)
      values ($1, $2, 'ingress', $3, $4) on conflict do nothing`,
    [idOf(`${group} ${address} ${ethertype}`), security_group_id, ethertype, idOf(address)],
  ])
}

const dropRule = (rig: Rig, group: string, address: string, ethertype: string): Promise<void> => {
  const id = idOf(`${group} ${address} ${ethertype}`)
  const image = { security_group_id: idOf(group) }
  return written(rig, 'security_group_rule', id, image, ['delete from security_group_rules where id = $1', [id]])
}

async function written(
  { database, edits }: Rig,
  kind: string,
  id: string,
  image: object,
  [sql, params]: readonly [string, readonly unknown[]],
): Promise<void> {
  await inTransaction(database, async (tx) => {
    await tx.query(sql, params)
    await tx.query(
      `insert into change (era, actor, actor_name, request_id, project_id, kind, id, op, generation, before, after)
        values (1, 'test', 'test', '', '', $1, $2, 'update', 0, $3, $3)`,
      [kind, id, JSON.stringify(image)],
    )
    return { value: undefined }
  })
  // Whatever it says, readers wake up.
  await edits.network('red')
}

async function cloud(): Promise<Rig> {
  const rig = await createRig()
  await rig.edits.network('red')
  for (const group of ['web', 'db']) await rig.edits.group(group)
  for (const [index, host] of ['h1', 'h2'].entries())
    await rig.edits.port(
      `p${index}`,
      { network: 'red', host, groups: [index === 0 ? 'web' : 'db'], address: 10 + index },
      null,
    )
  return rig
}

test('one rule a prefix of its IP version; none while the group is empty', async () => {
  await using rig = await cloud()
  const feed = await rig.feed('A')
  const hosts = [{ name: 'h1', ...(await rig.host('h1', ['A'])) }]
  const prefixes = (): (string | null)[] =>
    [...(hosts[0]?.agent.world.world.security_group.get(idOf('web'))?.rules ?? [])].map((one) => one.remote_ip_prefix)
  await addressGroup(rig, 'office', ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1/32'])
  await rule(rig, 'web', 'office', 'IPv4')
  await rig.converged(hosts, [feed])
  assert.deepEqual(prefixes().sort(), ['10.0.0.0/8', '192.0.2.1/32'])
  await addressGroup(rig, 'office', ['10.0.0.0/8'])
  await until('the host heard', () => prefixes().length === 1)
  await addressGroup(rig, 'office', [])
  await until('nothing is let in', () => prefixes().length === 0)
  await addressGroup(rig, 'office', ['2001:db8::/32'])
  await rule(rig, 'web', 'office', 'IPv6')
  await until('IPv6 too', () => prefixes().join() === '2001:db8::/32')
  await rig.converged(hosts, [feed])
})

test('whatever changes in whatever order, hosts end with what SQL says', { timeout: 60_000 }, async () => {
  const step = fc.record({
    what: fc.constantFrom('address' as const, 'address' as const, 'rule' as const, 'drop' as const),
    group: fc.constantFrom('web', 'db'),
    address: fc.constantFrom('office', 'home'),
    ethertype: fc.constantFrom('IPv4', 'IPv6'),
    prefixes: fc.subarray(['10.0.0.0/8', '172.16.0.0/12', '2001:db8::/32']),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
      await using rig = await cloud()
      for (const name of ['office', 'home']) await addressGroup(rig, name, [])
      const feed = await rig.feed('A')
      const hosts = [
        { name: 'h1', ...(await rig.host('h1', ['A'])) },
        { name: 'h2', ...(await rig.host('h2', ['A'])) },
      ]
      await Promise.all(
        steps.map(({ what, group, address, ethertype, prefixes }) => {
          if (what === 'address') return addressGroup(rig, address, prefixes)
          return what === 'rule' ? rule(rig, group, address, ethertype) : dropRule(rig, group, address, ethertype)
        }),
      )
      await rig.converged(hosts, [feed])
    }),
    { numRuns: 4 },
  )
})
