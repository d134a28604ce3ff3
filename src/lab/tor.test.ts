/** What of a ToR's place in the lab is decided purely. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSettings } from '#launch/settings.ts'
import { labPaths, MAX_HOSTS, underlayIndex } from './names.ts'
import { planTrunk, torArguments, torOf, torsOf } from './tor.ts'

test('hosts and ToRs have different numbers, and nothing else has one', () => {
  const indexes = ['h1', `h${MAX_HOSTS}`, 'tor1', 'tor2'].map(underlayIndex)
  assert.equal(new Set(indexes).size, 4)
  assert.ok(indexes.every((index) => index > 0 && index < 255))
  for (const other of ['tor', 'tor0', 'x1', 'h0']) assert.equal(underlayIndex(other), 0)
})

test('only topology hpb has ToRs, each above a host of its own', () => {
  assert.deepEqual(torsOf({}), [])
  assert.deepEqual(
    ['h1', 'h2', 'h3'].map((host) => torOf({ topology: 'hpb' }, host)?.name),
    ['tor1', 'tor2', undefined],
  )
})

test('a trunk is made whole from either end, and a whole one is left alone', () => {
  const plan = (tor: boolean, host: boolean): string[] =>
    planTrunk({ tor: 'tor1', host: 'h1' }, { tor: 'T', host: 'H' }, { tor, host })
  assert.deepEqual(plan(true, true), [])
  assert.equal(plan(true, false)[0], '-n T link del to-h1')
  assert.equal(plan(false, true)[0], '-n H link del eth1')
  for (const lines of [plan(false, false), plan(true, false), plan(false, true)])
    assert.equal(lines.filter((line) => line.startsWith('link add eth1 netns H ')).length, 1)
})

test('the server is told of every ToR, and draws VLANs for each that no other has', () => {
  const lab = {
    paths: labPaths('/l', 'x'),
    spec: { version: 1, name: 'x', datapath: 'netdev', hosts: 3, server: null },
  }
  assert.deepEqual(torArguments(lab as never), [])
  const { settings } = loadSettings(
    'server',
    torArguments({ ...lab, spec: { ...lab.spec, topology: 'hpb' } } as never),
    {},
  )
  assert.deepEqual(settings.tors[1], {
    name: 'tor2',
    target: 'unix:/l/x/hosts/tor2/db.sock',
    physicalNetwork: 'physnet-tor2',
    switch: 'tor2',
    ports: { h2: 'to-h2' },
  })
  assert.deepEqual(settings.networkVlanRanges, [
    { physical_network: 'physnet-tor1', range: { first: 101, last: 199 } },
    { physical_network: 'physnet-tor2', range: { first: 201, last: 299 } },
  ])
})
