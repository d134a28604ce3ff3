/** The planner by property against a model of the host, and the files by example. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NetworkObject, PortObject, SubnetObject } from '#wire/objects.ts'
import { plainPort } from '#wire/objects.testlib.ts'
import { type DhcpSeen, type DhcpStep, planDhcp } from './dhcp-plan.ts'
import {
  confHash,
  type DhcpFiles,
  type DhcpWant,
  dhcpFiles,
  dhcpWants,
  readLeases,
  reloadHash,
  staleLeases,
  withoutLeases,
} from './dhcp-want.ts'

const NETWORK = '0d5c7a5e-1111-4222-8333-444455556666'
const paths = { dir: '/state/dhcp/x', user: 'nobody' }
const subnet = (part: Partial<SubnetObject> = {}): SubnetObject => ({
  id: 'aaaaaaaa-0000-4000-8000-000000000001',
  ip_version: 4,
  cidr: '10.0.0.0/22',
  gateway_ip: '10.0.0.1',
  enable_dhcp: true,
  ipv6_ra_mode: null,
  ipv6_address_mode: null,
  dns_nameservers: [],
  host_routes: [],
  ...part,
})
const port = (n: number, ips: readonly string[], part: Partial<PortObject> = {}): PortObject =>
  plainPort({
    id: `port-${n}`,
    network_id: NETWORK,
    mac_address: `fa:16:3e:00:00:0${n}`,
    device_owner: '',
    fixed_ips: ips.map((ip_address) => ({ subnet_id: subnet().id, ip_address })),
    ...part,
  })
const network = (subnets: readonly SubnetObject[]): NetworkObject => ({
  id: NETWORK,
  generation: 1,
  project_id: 'p',
  admin_state_up: true,
  mtu: 1450,
  segments: [],
  subnets,
  dhcp: {
    port_id: 'd',
    mac_address: 'fa:16:3e:dd:dd:dd',
    fixed_ips: subnets.map(({ id, ip_version }) => ({
      subnet_id: id,
      ip_address: ip_version === 4 ? '10.0.0.2' : 'fd00::2',
    })),
  },
  dns_domain: 'openstacklocal',
})
const wantOf = (subnets: readonly SubnetObject[], ports: readonly PortObject[]): DhcpWant => {
  const [want] = dhcpWants({
    network: new Map([[NETWORK, network(subnets)]]),
    port: new Map(ports.map((one) => [one.id, one])),
    dhcp_client: new Map(),
  })
  assert.ok(want)
  return want
}
const files = (want: DhcpWant, taken = new Map<string, string>()): DhcpFiles => dhcpFiles(want, paths, taken)

/** What the host looks like after a step. */
function after(seen: DhcpSeen, step: DhcpStep): DhcpSeen {
  switch (step.op) {
    case 'stop':
      assert.equal(seen.server?.pid, step.pid)
      return { ...seen, server: null, loaded: null }
    case 'add-namespace':
      assert.ok(!seen.namespace)
      return { ...seen, namespace: true, server: seen.server && { ...seen.server, inNamespace: false } }
    case 'name-namespace':
      assert.ok(!seen.namespace)
      return { ...seen, namespace: true, server: seen.server && { ...seen.server, inNamespace: true } }
    case 'drop-link':
      assert.ok(seen.namespace && seen.orphan)
      return { ...seen, orphan: false }
    case 'move-link':
      assert.ok(seen.namespace && seen.link?.at === 'home' && !seen.orphan)
      return { ...seen, link: { ...seen.link, at: 'namespace', up: false, addresses: [] } }
    case 'set-link': {
      assert.ok(seen.link?.at === 'namespace')
      const kept = seen.link.addresses.filter((address) => !step.remove.includes(address))
      return {
        ...seen,
        link: { at: 'namespace', mac: step.mac, mtu: step.mtu, up: true, addresses: [...kept, ...step.add] },
      }
    }
    case 'write':
      return { ...seen, files: step.files }
    case 'forget':
      assert.equal(seen.server, null, 'a running server would write its leases again')
      return { ...seen, stale: [] }
    case 'start':
      assert.ok(seen.namespace && seen.files && !seen.server && confHash(seen.files) === step.confHash)
      return { ...seen, server: { pid: 99, confHash: step.confHash, inNamespace: true }, loaded: step.loaded }
    case 'reload':
      assert.ok(seen.server?.pid === step.pid && seen.files && reloadHash(seen.files) === step.loaded)
      return { ...seen, loaded: step.loaded }
  }
}

const want = wantOf([subnet()], [port(1, ['10.0.0.5'])])
const wanted = files(want)
const older = files(wantOf([subnet()], []))
const other = files(wantOf([subnet({ cidr: '10.1.0.0/24' })], []))
const link = fc.record({
  at: fc.constantFrom('namespace' as const, 'home' as const),
  mac: fc.constantFrom(want.mac, '02:00:00:00:00:01'),
  mtu: fc.constantFrom(1450, 1500),
  up: fc.boolean(),
  addresses: fc.subarray(['10.0.0.2/22', '10.9.9.9/24', '169.254.1.1/16']),
})
const seens: fc.Arbitrary<DhcpSeen> = fc
  .record({
    namespace: fc.boolean(),
    link,
    orphan: fc.boolean(),
    server: fc.option(
      fc.record({
        pid: fc.constant(7),
        confHash: fc.constantFrom(confHash(wanted), confHash(other)),
        inNamespace: fc.boolean(),
      }),
    ),
    files: fc.option(fc.constantFrom(wanted, older, other)),
    loaded: fc.option(fc.constantFrom(reloadHash(wanted), reloadHash(older))),
    stale: fc.subarray(['10.0.0.5']),
  })
  .map((seen) => ({
    ...seen,
    // What cannot be: a device or a server in a namespace that is not there.
    link: seen.namespace ? seen.link : { ...seen.link, at: 'home' as const },
    orphan: seen.orphan && seen.namespace && seen.link.at === 'home',
    server: seen.server && { ...seen.server, inNamespace: seen.server.inNamespace && seen.namespace },
    loaded: seen.server ? seen.loaded : null,
  }))

test('from anything, one plan leads to where nothing is left to do', () => {
  fc.assert(
    fc.property(seens, (seen) => {
      const end = planDhcp(want, wanted, seen).reduce(after, seen)
      assert.deepEqual(planDhcp(want, wanted, end), [])
      assert.deepEqual(end.link?.addresses, ['10.0.0.2/22'])
    }),
  )
})

test('a fitting server is never stopped but for a lease to forget', () => {
  fc.assert(
    fc.property(seens, (seen) => {
      const fits = seen.server?.confHash === confHash(wanted) && (seen.server.inNamespace || !seen.namespace)
      fc.pre(fits && seen.stale.length === 0)
      const ops = planDhcp(want, wanted, seen).map(({ op }) => op)
      assert.ok(!ops.includes('stop') && !ops.includes('start'))
    }),
  )
})

test('ports only touch what a SIGHUP reads; subnets need a restart', () => {
  const more = files(wantOf([subnet()], [port(1, ['10.0.0.5']), port(2, ['10.0.0.6'])]))
  assert.equal(confHash(more), confHash(wanted))
  assert.notEqual(reloadHash(more), reloadHash(wanted))
  const routed = files(wantOf([subnet({ gateway_ip: null, dns_nameservers: ['9.9.9.9'] })], []))
  assert.equal(confHash(routed), confHash(wanted))
  assert.notEqual(confHash(other), confHash(wanted))
})

test('options of a subnet', () => {
  const tag = 'tag:saaaaaaaa000040008000000000000001'
  const options = (part: Partial<SubnetObject>): string[] =>
    files(wantOf([subnet(part)], []))
      .options.trim()
      .split('\n')
  assert.deepEqual(options({}), [`${tag},option:router,10.0.0.1`, `${tag},option:mtu,1450`])
  assert.deepEqual(options({ gateway_ip: null }), [`${tag},option:router`, `${tag},option:mtu,1450`])
  const route = { destination: '198.51.100.0/24', nexthop: '10.0.0.9' }
  assert.deepEqual(options({ host_routes: [route], dns_nameservers: ['9.9.9.9', '8.8.8.8'] }).slice(2), [
    `${tag},option:dns-server,9.9.9.9,8.8.8.8`,
    `${tag},121,198.51.100.0/24,10.0.0.9,0.0.0.0/0,10.0.0.1`,
    `${tag},249,198.51.100.0/24,10.0.0.9,0.0.0.0/0,10.0.0.1`,
  ])
  const away = { destination: '0.0.0.0/0', nexthop: '10.0.0.9' }
  assert.equal(options({ host_routes: [away] })[2], `${tag},121,0.0.0.0/0,10.0.0.9`)
})

test('ranges and leases by address mode', () => {
  const v6 = (mode: string | null): DhcpFiles => {
    const six = subnet({
      id: 'six',
      ip_version: 6,
      cidr: 'fd00::/64',
      gateway_ip: 'fd00::1',
      ipv6_ra_mode: mode,
      ipv6_address_mode: mode,
    })
    return files(
      wantOf([six], [port(1, [], { fixed_ips: [{ subnet_id: 'six', ip_address: 'fd00::5' }], dns_name: 'web' })]),
    )
  }
  assert.match(v6('dhcpv6-stateful').conf, /^dhcp-range=set:ssix,fd00::,static,64,86400$/m)
  assert.equal(v6('dhcpv6-stateful').hosts, 'fa:16:3e:00:00:01,web,[fd00::5]\n')
  assert.match(v6('dhcpv6-stateless').conf, /^dhcp-range=set:ssix,/m)
  assert.equal(v6('dhcpv6-stateless').hosts, '')
  assert.doesNotMatch(v6('slaac').conf, /dhcp-range/)
  assert.equal(v6('slaac').hosts, '')
  assert.match(files(want).conf, /^dhcp-range=set:\w+,10\.0\.0\.0,static,255\.255\.252\.0,86400$/m)
  assert.equal(files(want).hosts, 'fa:16:3e:00:00:01,host-10-0-0-5,10.0.0.5\n')
  assert.equal(files(wantOf([subnet({ enable_dhcp: false })], [port(1, ['10.0.0.5'])])).hosts, '')
})

test("a port's own options are told to requests of its MAC", () => {
  const TAGS = 'tag:m0fa,tag:m116,tag:m23e,tag:m300,tag:m400,tag:m501'
  const opts = (...list: [string, string, (4 | 6)?][]): Partial<PortObject> => ({
    extra_dhcp_opts: list.map(([opt_name, opt_value, ip_version = 4]) => ({ opt_name, opt_value, ip_version })),
  })
  const asking = wantOf(
    [subnet()],
    [
      port(1, ['10.0.0.5'], opts(['bootfile-name', 'a.0'], ['router', ''], ['client-id', '01:02:03'])),
      port(2, ['10.0.0.6']),
    ],
  )
  const made = files(asking)
  assert.equal(
    made.hosts,
    'fa:16:3e:00:00:01,id:01:02:03,host-10-0-0-5,10.0.0.5\nfa:16:3e:00:00:02,host-10-0-0-6,10.0.0.6\n',
  )
  assert.deepEqual(made.options.trim().split('\n').slice(-2), [
    `${TAGS},option:bootfile-name,a.0`,
    `${TAGS},option:router`,
  ])
  assert.equal(confHash(made), confHash(wanted), 'a SIGHUP is enough')
  const refused = new Map([['option:bootfile-name,a.0', 'no']])
  assert.ok(!dhcpFiles(asking, paths, new Map(), refused).options.includes('a.0'))
})

test('who is served on the wire has a line as ports of this host have; who is both has one', () => {
  const client = ({ id, network_id, mac_address, fixed_ips, dns_name, extra_dhcp_opts }: PortObject) => {
    const only = { id, network_id, mac_address, fixed_ips, dns_name, extra_dhcp_opts, segment_ids: [] }
    return [id, only] as const
  }
  const bootfile = { opt_name: 'bootfile-name', opt_value: 'metal.0', ip_version: 4 } as const
  const metal = port(3, ['10.0.0.7'], { dns_name: 'metal', extra_dhcp_opts: [bootfile] })
  const [one] = dhcpWants({
    network: new Map([[NETWORK, network([subnet()])]]),
    port: new Map([['port-1', port(1, ['10.0.0.5'])]]),
    dhcp_client: new Map([client(port(1, ['10.0.0.6'])), client(metal)]),
  })
  assert.ok(one)
  assert.deepEqual(one.macs, ['fa:16:3e:00:00:01', 'fa:16:3e:00:00:03'])
  assert.equal(files(one).hosts, 'fa:16:3e:00:00:01,host-10-0-0-5,10.0.0.5\nfa:16:3e:00:00:03,metal,10.0.0.7\n')
  assert.match(files(one).options, /option:bootfile-name,metal\.0/)
})

test('the domain of the network is told and served; another one needs a restart', () => {
  const inDomain = (domain: string, dns_name = ''): DhcpFiles => {
    const [one] = dhcpWants({
      network: new Map([[NETWORK, { ...network([subnet()]), dns_domain: domain }]]),
      port: new Map([['p', port(1, ['10.0.0.5'], { dns_name })]]),
      dhcp_client: new Map(),
    })
    assert.ok(one)
    return files(one)
  }
  const made = inDomain('red.example')
  assert.match(made.conf, /^domain=red\.example\nlocal=\/red\.example\/$/m)
  assert.equal(made.names, '10.0.0.5 host-10-0-0-5.red.example host-10-0-0-5\n')
  assert.notEqual(confHash(made), confHash(wanted))
  assert.doesNotMatch(inDomain('').conf, /domain=|local=/)
  assert.equal(inDomain('').names, '10.0.0.5 host-10-0-0-5\n')
  assert.equal(inDomain('red.example', 'www.blue.example.').names, '10.0.0.5 www.blue.example www\n')
  assert.throws(() => inDomain('x\ndhcp-script=/bin/sh'), /not a domain/)
})

test('leases that stand in the way', () => {
  const text = [
    '1795362000 fa:16:3e:00:00:09 10.0.0.5 host-10-0-0-5 01:fa:16:3e:00:00:09',
    'duid 00:01:00:01:30:b4:d8:39:fa:16:3e:dd:dd:dd',
    '1795362000 1234 fd00::5 web 00:03:00:01:fa:16:3e:00:00:08',
    '1795362000 1234 fd00::6 web 00:02:00:00:ab:11',
    '',
  ].join('\n')
  const taken = readLeases(text)
  assert.deepEqual(
    [...taken],
    [
      ['10.0.0.5', 'fa:16:3e:00:00:09'],
      ['fd00::5', 'fa:16:3e:00:00:08'],
    ],
  )
  assert.equal(files(want, taken).hosts, 'fa:16:3e:00:00:01,fa:16:3e:00:00:09,host-10-0-0-5,10.0.0.5\n')
  assert.deepEqual(staleLeases(want, taken), [])
  // A port that is still here would take the address away again: its lease must go.
  const both = wantOf([subnet()], [port(1, ['10.0.0.5']), port(9, [])])
  assert.equal(files(both, taken).hosts, 'fa:16:3e:00:00:01,host-10-0-0-5,10.0.0.5\n')
  assert.deepEqual(staleLeases(both, taken), ['10.0.0.5'])
  assert.deepEqual([...readLeases(withoutLeases(text, ['10.0.0.5'])).keys()], ['fd00::5'])
})

test('without a device there is no plan', () => {
  const nothing: DhcpSeen = {
    namespace: false,
    link: null,
    orphan: false,
    server: null,
    files: null,
    loaded: null,
    stale: [],
  }
  assert.throws(() => planDhcp(want, wanted, nothing), /the switch has not made interface dh0d5c7a5e111 yet/)
})
