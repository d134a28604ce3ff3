/** Lists: filters, fields, order, pages with links both ways, and the past. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '#kernel/ids.ts'
import fc from 'fast-check'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

type Item = Record<string, any>

let server: TestServer
let member: Client
let networks: Item[]
let subnet: Item
let ports: Item[]
let groups: Item[]

/** A small world with duplicates and nulls in every sortable column. */
before(async () => {
  server = await testServer({ settings: { quotaPort: -1, quotaNetwork: -1 } })
  member = server.as('p1')
  const names = ['b', 'a', 'c', 'a', '', 'Ä']
  const bodies = names.map((name, n) => ({
    name,
    admin_state_up: n % 2 === 0,
    description: n === 4 ? '' : `d${n % 2}`,
  }))
  networks = answered(await member.post('networks', { networks: bodies }), 201).networks
  const [first, second] = networks as [Item, Item]
  subnet = await member.make('subnet', { network_id: first['id'], cidr: '10.0.0.0/24', ip_version: 4 })
  await member.make('subnet', { network_id: first['id'], cidr: '10.1.0.0/24', ip_version: 4, gateway_ip: null })
  await member.make('subnet', {
    network_id: second['id'],
    cidr: '2001:db8::/64',
    ip_version: 6,
    ipv6_ra_mode: 'slaac',
    ipv6_address_mode: 'slaac',
  })
  const wishes = [{ ip_address: '10.0.0.10' }, { ip_address: '10.0.0.100' }, { ip_address: '10.1.0.10' }]
  const made = wishes.map((wish, n) => ({
    network_id: first['id'],
    name: `p${n % 2}`,
    fixed_ips: [wish],
    device_id: n === 1 ? 'vm' : '',
  }))
  ports = answered(await member.post('ports', { ports: made }), 201).ports
  const group = await member.make('security_group', { name: 'web' })
  for (const [min, protocol] of [
    [80, 'tcp'],
    [null, null],
    [443, 'tcp'],
    [53, 'udp'],
  ] as const)
    await member.make('security_group_rule', {
      security_group_id: group['id'],
      direction: 'ingress',
      protocol,
      port_range_min: min,
      port_range_max: min,
    })
  groups = answered(await member.get('security-groups'), 200).security_groups
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const ids = (items: readonly Item[]): string[] => items.map((one) => one['id']).sort()
const listed = async (path: string, client = member): Promise<Item[]> => {
  const body = answered(await client.get(path), 200)
  return body[Object.keys(body).find((key) => !key.endsWith('_links')) as string]
}
const sameIds = async (path: string, expected: readonly Item[]): Promise<void> =>
  assert.deepEqual(ids(await listed(path)), ids(expected), path)

describe('filters', () => {
  test('one key, several values: any of them; several keys: all of them', async () => {
    await sameIds(
      'networks?name=a',
      networks.filter((one) => one['name'] === 'a'),
    )
    await sameIds(
      'networks?name=a&name=b',
      networks.filter((one) => ['a', 'b'].includes(one['name'])),
    )
    await sameIds(
      'networks?name=a&admin_state_up=true',
      networks.filter((one) => one['name'] === 'a' && one['admin_state_up']),
    )
    await sameIds(`networks?id=${networks[0]?.['id']}&id=${newId()}&id=nonsense`, networks.slice(0, 1))
  })
  test('an empty value is the empty text', async () => {
    await sameIds(
      'networks?name=',
      networks.filter((one) => one['name'] === ''),
    )
    await sameIds(
      'networks?description=',
      networks.filter((one) => one['description'] === ''),
    )
    await sameIds(
      'ports?device_id=&name=p0',
      ports.filter((one) => one['device_id'] === '' && one['name'] === 'p0'),
    )
  })
  test('flags and numbers in the spellings clients use', async () => {
    for (const yes of ['true', 'True', '1'])
      await sameIds(
        `networks?admin_state_up=${yes}`,
        networks.filter((one) => one['admin_state_up']),
      )
    for (const no of ['false', 'False', '0'])
      await sameIds(
        `networks?admin_state_up=${no}`,
        networks.filter((one) => !one['admin_state_up']),
      )
    assert.equal((await listed('subnets?ip_version=6')).length, 1)
    assert.equal((await listed('subnets?ip_version=4&ip_version=6')).length, 3)
    assert.equal((await listed('networks?mtu=1450')).length, networks.length)
    refused(await member.get('networks?mtu=wide'), 'HTTPBadRequest', /^Invalid input for mtu/)
    refused(await member.get('networks?admin_state_up=perhaps'), 'HTTPBadRequest', /^Invalid input for admin_state_up/)
    refused(await member.get('ports?mac_address=x'), 'HTTPBadRequest', /^Invalid input for mac_address/)
  })
  test('addresses in any notation', async () => {
    assert.equal((await listed('subnets?cidr=10.0.0.0/24')).length, 1)
    assert.equal((await listed('subnets?cidr=2001:DB8:0::/64')).length, 1)
    assert.equal((await listed('subnets?gateway_ip=10.0.0.1')).length, 1)
    assert.equal((await listed(`ports?mac_address=${String(ports[0]?.['mac_address']).toUpperCase()}`)).length, 1)
  })
  test('fixed_ips by address, by subnet and by a part of the address', async () => {
    const at = (text: string) =>
      ports.filter((one) => one['fixed_ips'].some((ip: Item) => String(ip['ip_address']).includes(text)))
    await sameIds('ports?fixed_ips=ip_address=10.0.0.10', ports.slice(0, 1))
    await sameIds('ports?fixed_ips=ip_address%3D10.0.0.10&fixed_ips=ip_address%3D10.1.0.10', [
      ports[0],
      ports[2],
    ] as Item[])
    await sameIds('ports?device_owner=&fixed_ips=ip_address_substr%3D0.10', at('0.10'))
    await sameIds('ports?device_owner=&fixed_ips=ip_address_substr%3D10.1.', at('10.1.'))
    await sameIds(`ports?device_owner=&fixed_ips=subnet_id%3D${subnet['id']}`, ports.slice(0, 2))
    await sameIds(`ports?fixed_ips=subnet_id%3D${subnet['id']}&fixed_ips=ip_address%3D10.0.0.100`, ports.slice(1, 2))
    await sameIds('ports?fixed_ips=ip_address_substr%3D%25', [])
    for (const wrong of ['x', 'mac=1', 'ip_address=zz', 'subnet_id=7', 'ip_address=1.2.3.4.5', 'ip_address=:::'])
      refused(
        await member.get(`ports?fixed_ips=${encodeURIComponent(wrong)}`),
        'HTTPBadRequest',
        /^Invalid input for fixed_ips/,
      )
  })
  test('ports by security group', async () => {
    const group = ports[0]?.['security_groups'][0]
    await sameIds(`ports?security_groups=${group}`, ports)
    await sameIds(`ports?security_groups=${newId()}`, [])
  })
  test('tenant_id and project_id are twins', async () => {
    await sameIds('networks?tenant_id=p1', networks)
    await sameIds('networks?project_id=p1', networks)
    await sameIds('networks?project_id=p2', [])
    await sameIds('networks?project_id=p1&tenant_id=p1', networks)
    refused(await member.get('networks?project_id=p1&tenant_id=p2'), 'TenantIdProjectIdFilterConflict')
  })
  test('unknown keys are refused, not ignored', async () => {
    refused(
      await member.get('networks?nonsense=1'),
      'HTTPBadRequest',
      "['nonsense'] is invalid attribute for filtering",
    )
    refused(await member.get('networks?a=1&b=2'), 'HTTPBadRequest', "['a', 'b'] is invalid attribute for filtering")
    refused(
      await member.get('networks?constructor=1'),
      'HTTPBadRequest',
      "['constructor'] is invalid attribute for filtering",
    )
    refused(await member.get('subnets?allocation_pools=x'), 'HTTPBadRequest', /is invalid attribute for filtering$/)
    refused(await member.get('networks?fixed_ips=x'), 'HTTPBadRequest', /is invalid attribute for filtering$/)
  })
  test('what changed since', async () => {
    await sameIds('networks?changed_since=2020-01-01T00:00:00Z', networks)
    await sameIds('networks?changed_since=2020-01-01T00:00:00', networks)
    await sameIds('networks?changed_since=2099-01-01T00:00:00Z', [])
    refused(
      await member.get('networks?changed_since=yesterday'),
      'HTTPBadRequest',
      /changed_since must be in the following format/,
    )
  })
  test('a filter on revision_number', async () => {
    await sameIds('networks?revision_number=1', networks.slice(2))
  })
})

describe('fields', () => {
  test('only what was asked for', async () => {
    for (const one of await listed('networks?fields=name&fields=id'))
      assert.deepEqual(Object.keys(one).sort(), ['id', 'name'])
    for (const one of await listed('networks?fields=tenant_id')) assert.deepEqual(one, { tenant_id: 'p1' })
    assert.deepEqual(answered(await member.get(`networks/${networks[0]?.['id']}?fields=name`), 200), {
      network: { name: 'b' },
    })
    const limited = answered(await member.get('networks?fields=name&limit=2&sort_key=name'), 200)
    assert.deepEqual(limited.networks.map(Object.keys), [['name'], ['name']])
    assert.deepEqual(
      limited.networks_links.map((one: { rel: string }) => one.rel),
      ['next', 'previous'],
    )
  })
  test('each name of the project is shown where it is asked for, in lists, shows and the past', async () => {
    const at = `networks/${networks[0]?.['id']}`
    await sleep(5)
    const past = `as_of=${new Date().toISOString()}`
    for (const field of ['tenant_id', 'project_id']) {
      for (const query of [`fields=${field}`, `fields=${field}&${past}`]) {
        const twins = { [field]: 'p1' }
        assert.deepEqual(answered(await member.get(`${at}?${query}`), 200).network, twins, query)
        for (const one of await listed(`networks?${query}`)) assert.deepEqual(one, twins, query)
      }
    }
  })
  test('names nobody knows give nothing', async () => {
    for (const one of await listed('networks?fields=nonsense')) assert.deepEqual(one, {})
  })
})

describe('order', () => {
  test('several keys, each in its direction', async () => {
    const got = await listed('networks?sort_key=admin_state_up&sort_dir=desc&sort_key=name&sort_dir=asc')
    assert.deepEqual(
      got.map((one) => one['admin_state_up']),
      [true, true, true, false, false, false],
    )
    const names = got.filter((one) => one['admin_state_up']).map((one) => one['name'])
    assert.deepEqual(names, ['', 'b', 'c'])
  })
  test('what is wrong about an order', async () => {
    refused(
      await member.get('networks?sort_key=name&sort_key=id&sort_dir=asc'),
      'HTTPBadRequest',
      'The number of sort_keys and sort_dirs must be same',
    )
    refused(
      await member.get('networks?sort_key=nonsense&sort_dir=asc'),
      'HTTPBadRequest',
      /is invalid attribute for sort keys$/,
    )
    refused(
      await member.get('networks?sort_key=description&sort_dir=asc'),
      'HTTPBadRequest',
      /is invalid attribute for sort keys$/,
    )
    refused(await member.get('networks?sort_key=name&sort_dir=up'), 'HTTPBadRequest', /is invalid value for sort_dirs/)
  })
})

describe('pages', () => {
  const next = (body: Item, rel: string): string | undefined => {
    const key = Object.keys(body).find((one) => one.endsWith('_links')) as string
    const href: string | undefined = body[key].find((one: Item) => one['rel'] === rel)?.href
    return href && new URL(href).pathname + new URL(href).search
  }
  const itemsOf = (body: Item): Item[] => body[Object.keys(body).find((key) => !key.endsWith('_links')) as string]

  test('without a limit there are no links', async () => {
    assert.deepEqual(Object.keys(answered(await member.get('networks'), 200)), ['networks'])
  })
  test('limits and markers that are none', async () => {
    refused(await member.get('networks?limit=-1'), 'HTTPBadRequest', /^Limit must be an integer 0 or greater/)
    refused(await member.get('networks?limit=x'), 'HTTPBadRequest', /^Limit must be an integer 0 or greater/)
    refused(await member.get(`networks?limit=2&marker=${newId()}`), 'NetworkNotFound')
    refused(await member.get('networks?limit=2&marker=nonsense'), 'NetworkNotFound')
    refused(await server.as('p2').get(`networks?limit=2&marker=${networks[0]?.['id']}`), 'NetworkNotFound')
    await sameIds('networks?limit=0', networks)
  })
  test('links keep every other parameter', async () => {
    const body = answered(await member.get('networks?limit=1&name=a&sort_key=name&sort_dir=desc&fields=name'), 200)
    const query = new URL(body.networks_links[0].href).searchParams
    assert.deepEqual(
      [query.get('name'), query.get('sort_key'), query.get('sort_dir'), query.get('fields'), query.get('limit')],
      ['a', 'name', 'desc', 'name', '1'],
    )
  })

  test('pages one after the other are the whole list, in any order, both ways', async () => {
    const collections = ['networks', 'subnets', 'ports', 'security-groups', 'security-group-rules']
    const resources = [...server.core.model.resources.values()].filter((one) => collections.includes(one.path))
    const order = fc.constantFrom(...resources).chain((resource) => {
      const keys = Object.keys(resource.attributes).filter((name) => resource.attributes[name]?.sort)
      const key = fc.record({ key: fc.constantFrom(...keys), dir: fc.constantFrom('asc', 'desc') })
      return fc.record({
        path: fc.constant(resource.path),
        keys: fc.uniqueArray(key, { maxLength: 3, selector: (one) => one.key }),
        limit: fc.integer({ min: 1, max: 7 }),
      })
    })
    await fc.assert(
      fc.asyncProperty(order, async ({ path, keys, limit }) => {
        const sort = keys.map(({ key, dir }) => `&sort_key=${key}&sort_dir=${dir}`).join('')
        const whole = (await listed(`${path}?fields=id${sort}`)).map((one) => one['id'])
        const forwards: string[] = []
        let [url, last]: [string | undefined, string] = [`${path}?limit=${limit}${sort}`, '']
        while (url) {
          const body = answered(await member.get(url), 200)
          forwards.push(...itemsOf(body).map((one) => one['id']))
          last = url
          url = next(body, 'next')
          assert.ok(forwards.length <= whole.length, url)
        }
        assert.deepEqual(forwards, whole)
        const backwards: string[] = []
        url = `${path}?limit=${limit}${sort}&page_reverse=True`
        while (url) {
          const body = answered(await member.get(url), 200)
          backwards.unshift(...itemsOf(body).map((one) => one['id']))
          url = next(body, 'previous')
          assert.ok(backwards.length <= whole.length, url)
        }
        assert.deepEqual(backwards, whole, last)
      }),
      { numRuns: 60 },
    )
  })
  test('from the last page back by its previous links is the first page again', async () => {
    const first = answered(await member.get('networks?limit=2&sort_key=name'), 200)
    const second = answered(await member.get(next(first, 'next') as string), 200)
    const back = answered(await member.get(next(second, 'previous') as string), 200)
    assert.deepEqual(back.networks, first.networks)
  })
  test('the configured longest page holds for everyone', async () => {
    await using small = await testServer({ settings: { paginationMaxLimit: 2 } })
    const bodies = Array.from({ length: 3 }, () => ({}))
    answered(await small.admin.post('networks', { networks: bodies }), 201)
    for (const query of ['', '?limit=50', '?limit=0']) {
      const body = answered(await small.admin.get(`networks${query}`), 200)
      assert.equal(body.networks.length, 2)
      assert.equal(body.networks_links[0].rel, 'next')
    }
  })
})

describe('the past', () => {
  const now = (): string => new Date().toISOString()

  test('show and list as of an instant', async () => {
    const before = now()
    await sleep(5)
    const made = await member.make('network', { name: 'old' })
    const at = `networks/${made['id']}`
    await sleep(5)
    const first = now()
    await sleep(5)
    answered(await member.put(at, { network: { name: 'new' } }), 200)
    await sleep(5)
    const second = now()
    await sleep(5)
    answered(await member.delete(at), 204)
    refused(await member.get(`${at}?as_of=${before}`), 'NetworkNotFound')
    assert.deepEqual(answered(await member.get(`${at}?as_of=${first}`), 200), { network: made })
    assert.equal(answered(await member.get(`${at}?as_of=${second}`), 200).network.name, 'new')
    refused(await member.get(`${at}?as_of=${now()}`), 'NetworkNotFound')
    assert.equal((await listed(`networks?name=old&as_of=${first}`)).length, 1)
    assert.equal((await listed(`networks?name=old&as_of=${second}`)).length, 0)
    assert.equal((await listed(`networks?name=new&as_of=${second}`)).length, 1)
    assert.deepEqual(await listed(`networks?as_of=${before}&sort_key=id`), await listed('networks?sort_key=id'))
  })
  test('nobody sees more of the past than of the present', async () => {
    const instant = now()
    await sleep(5)
    refused(await server.as('p2').get(`networks/${networks[0]?.['id']}?as_of=${now()}`), 'NetworkNotFound')
    assert.deepEqual(await listed(`networks?as_of=${instant}`, server.as('p2')), [])
    const seen = await listed(`networks?as_of=${instant}`)
    assert.ok(seen.every((one) => !('provider:segmentation_id' in one)))
  })
  test('instants that are none', async () => {
    for (const as_of of ['yesterday', '12', '2026-13-45T00:00:00Z', 'T'])
      refused(await member.get(`networks?as_of=${as_of}`), 'BadAsOf')
  })
  test('filters, order and pages of the past are those of the present', async () => {
    const instant = now()
    await sleep(5)
    for (const query of [
      'sort_key=name&sort_dir=desc',
      'sort_key=name&limit=2',
      `sort_key=name&limit=2&marker=${networks[1]?.['id']}`,
      'changed_since=2099-01-01T00:00:00Z',
      'admin_state_up=False',
    ])
      assert.deepEqual(await listed(`networks?${query}&as_of=${instant}`), await listed(`networks?${query}`), query)
    const address = 'fixed_ips=ip_address%3D10.0.0.10'
    assert.deepEqual(await listed(`ports?${address}&as_of=${instant}`), await listed(`ports?${address}`))
  })
})

test('a list takes as many statements for one row as for many', async () => {
  const count = async (path: string): Promise<number> => {
    const texts: string[] = []
    await using counted = await testServer({ onStatement: (text) => texts.push(text) })
    texts.length = 0
    answered(await counted.admin.get(path), 200)
    const none = texts.splice(0).length
    answered(await counted.admin.post('networks', { networks: Array.from({ length: 30 }, () => ({})) }), 201)
    texts.length = 0
    assert.equal(answered(await counted.admin.get(path), 200).networks.length, 30)
    assert.equal(texts.length, none)
    return none
  }
  assert.equal(await count('networks'), 1)
})

test('the default group is among the listed ones', () => {
  assert.deepEqual(groups.map((one) => one['name']).sort(), ['default', 'web'])
})
