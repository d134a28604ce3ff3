/** Which addresses a port keeps and asks for, and where: decided without a database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '#kernel/errors.ts'
import { parsePrefix, type Prefix } from '#kernel/ip.ts'
import { candidates, changeOf, choices, type SubnetFacts, type Wish, wishesOf } from './ipam-requests.ts'

const owner = { port_id: 'p', network_id: 'n', mac_address: 'fa:16:3e:00:00:01', device_owner: 'compute:nova' }
const router = { ...owner, device_owner: 'network:router_interface' }

const subnet = (id: string, cidr: string, more: Partial<SubnetFacts> = {}): SubnetFacts => ({
  id,
  block: parsePrefix(cidr) as Prefix,
  automatic: false,
  segmentId: null,
  serviceTypes: [],
  dhcp: true,
  ...more,
})
const A = subnet('a', '10.0.0.0/24')
const B = subnet('b', '10.0.1.0/24')
const SIX = subnet('six', 'fd00::/64')
const AUTO = subnet('auto', 'fd00:1::/64', { automatic: true })

const everywhere = (...subnets: SubnetFacts[]) => ({ subnets, reach: null })
const told = (wishes: readonly Wish[]): string[] =>
  wishes.map((one) => {
    if (one.kind === 'any') return `any of ${one.subnets.map(({ id }) => id).join()}`
    return one.kind === 'automatic' ? `automatic in ${one.subnet.id}` : `${one.ip_address} in ${one.subnet.id}`
  })
const refusedAs = (type: string) => (error: unknown) => error instanceof ApiError && error.type === type

test('without requests: one of each version, and every automatic one', () => {
  assert.deepEqual(told(wishesOf(owner, everywhere(A, SIX, AUTO, B), undefined)), [
    'any of a,b',
    'any of six',
    'automatic in auto',
  ])
  assert.deepEqual(wishesOf(owner, everywhere(), undefined), [])
})

test('requests by address, by subnet, by both; automatic ones besides, except for routers', () => {
  const requests = [{ ip_address: '10.0.1.9' }, { subnet_id: 'a' }, { subnet_id: 'auto' }]
  assert.deepEqual(told(wishesOf(owner, everywhere(A, B, AUTO), requests)), [
    '10.0.1.9 in b',
    'any of a',
    'automatic in auto',
  ])
  assert.deepEqual(told(wishesOf(router, everywhere(A, AUTO), [{ subnet_id: 'auto' }])), ['any of auto'])
  assert.deepEqual(told(wishesOf(router, everywhere(AUTO), [{ ip_address: 'fd00:1::' }])), ['fd00:1:: in auto'])
})

test('no address that is not a host’s, or not to be chosen', () => {
  const ask = (request: object) => () => wishesOf(owner, everywhere(A, SIX, AUTO), [request])
  for (const ip_address of ['10.0.0.0', '10.0.0.255', '192.0.2.1', 'fd00::'])
    assert.throws(ask({ ip_address }), refusedAs('InvalidIpForNetwork'), ip_address)
  assert.throws(ask({ subnet_id: 'a', ip_address: '10.0.1.1' }), refusedAs('InvalidIpForSubnet'))
  assert.throws(ask({ subnet_id: 'gone' }), refusedAs('InvalidInput'))
  assert.throws(ask({}), refusedAs('InvalidInput'))
  assert.throws(ask({ ip_address: 'fd00:1::5' }), refusedAs('AllocationOnAutoAddressSubnet'))
})

test('subnets of an owner’s own come first; with only others’ there is no address', () => {
  const own = subnet('own', '10.2.0.0/24', { serviceTypes: ['compute:nova'] })
  const other = subnet('other', '10.3.0.0/24', { serviceTypes: ['network:floatingip'] })
  assert.deepEqual(told(wishesOf(owner, everywhere(A, other, own), undefined)), ['any of own,a'])
  assert.throws(
    () => candidates(owner, everywhere(other), undefined),
    refusedAs('IpAddressGenerationFailureNoMatchingSubnet'),
  )
  const dhcp = { ...owner, device_owner: 'network:dhcp' }
  assert.deepEqual(candidates(dhcp, everywhere(other), undefined), [other])
})

test('on segments: where the host reaches, or where what it has stands', () => {
  const [one, two] = [
    subnet('one', '10.1.0.0/24', { segmentId: 's1' }),
    subnet('two', '10.2.0.0/24', { segmentId: 's2' }),
  ]
  const at = (...reach: string[]) => ({ subnets: [one, two], reach })
  assert.deepEqual(candidates(owner, at('s2'), undefined), [two])
  assert.throws(() => candidates(owner, at(), undefined), refusedAs('HostNotConnectedToAnySegment'))
  assert.deepEqual(candidates(owner, everywhere(one, two), undefined), [])
  assert.deepEqual(candidates(owner, everywhere(one, two), [{ ip_address: '10.2.0.5' }]), [two])
  const both = [{ subnet_id: 'one' }, { ip_address: '10.2.0.5' }]
  assert.throws(() => candidates(owner, everywhere(one, two), both), refusedAs('FixedIpsSubnetsNotOnSameSegment'))
})

test('a host that reaches several segments: one after another, in their order, and never two at once', () => {
  const [one, two, three] = [1, 2, 3].map((n) => subnet(`on${n}`, `10.${n}.0.0/24`, { segmentId: `s${n}` })) as [
    SubnetFacts,
    SubnetFacts,
    SubnetFacts,
  ]
  const six = subnet('six2', 'fd00:2::/64', { segmentId: 's2' })
  const elsewhere = subnet('elsewhere', '10.9.0.0/24', { segmentId: 's3', serviceTypes: ['network:floatingip'] })
  const ground = { subnets: [one, two, six, elsewhere], reach: ['s3', 's2', 's1'] }
  const tried = choices(owner, ground).map((each) => told(wishesOf(owner, each, undefined)))
  assert.deepEqual(tried, [['any of on2', 'any of six2'], ['any of on1']])
  assert.deepEqual(candidates(owner, ground, undefined), [two, six])
  // What is named or kept decides.
  assert.deepEqual(candidates(owner, ground, [{ subnet_id: 'on1' }]), [one])
  assert.deepEqual(candidates(owner, ground, [{ ip_address: 'fd00:2::5' }]), [two, six])
  const both = [{ subnet_id: 'on1' }, { subnet_id: 'on2' }]
  assert.throws(() => candidates(owner, ground, both), refusedAs('FixedIpsSubnetsNotOnSameSegment'))
  // Named where the host is not: said where it is looked up.
  assert.throws(
    () => wishesOf(owner, { subnets: [one, two, three], reach: ['s1', 's2'] }, [{ subnet_id: 'on3' }]),
    refusedAs('InvalidInput'),
  )
})

test('a change keeps what is named again, then what its subnet alone names, and automatic ones', () => {
  const held = [
    { subnet_id: 'a', ip_address: '10.0.0.5' },
    { subnet_id: 'a', ip_address: '10.0.0.6' },
    { subnet_id: 'auto', ip_address: 'fd00:1::f816:3eff:fe00:1' },
  ]
  const change = (requests: object[], who = owner) => {
    const { keep, leave, fresh } = changeOf(who, held, requests, new Set(['auto']))
    return { keep: keep.map((one) => one.ip_address), leave: leave.map((one) => one.ip_address), fresh }
  }
  const automatic = 'fd00:1::f816:3eff:fe00:1'
  assert.deepEqual(change([{ subnet_id: 'a' }, { ip_address: '10.0.0.5' }]), {
    keep: ['10.0.0.5', '10.0.0.6', automatic],
    leave: [],
    fresh: [],
  })
  assert.deepEqual(change([{ ip_address: '10.0.0.9' }]), {
    keep: [automatic],
    leave: ['10.0.0.5', '10.0.0.6'],
    fresh: [{ ip_address: '10.0.0.9' }],
  })
  assert.deepEqual(change([{ subnet_id: 'auto', delete_subnet: true }, { ip_address: '10.0.0.6' }]).leave, [
    '10.0.0.5',
    automatic,
  ])
  assert.deepEqual(change([], router).leave, ['10.0.0.5', '10.0.0.6', automatic])
})
