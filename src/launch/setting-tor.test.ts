import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadSettings } from './settings.ts'
import { tors } from './setting-tor.ts'

const one = {
  name: 'tor1',
  target: 'tcp:192.0.2.1:6640',
  physicalNetwork: 'physnet-tor1',
  switch: 'tor1',
  ports: { h1: 'to-h1', h2: 'to-h2' },
}
const text = 'name=tor1,target=tcp:192.0.2.1:6640,physical-network=physnet-tor1,ports=h1:to-h1;h2:to-h2'

test('a ToR is the same as words and as YAML', () => {
  assert.deepEqual(tors().parse(text), { ok: [one] })
  const { physicalNetwork: physical_network, switch: _own, ...rest } = one
  assert.deepEqual(tors().parse([{ ...rest, physical_network }]), { ok: [one] })
  assert.deepEqual(tors().parse(''), { ok: [] })
  const two = `${text} name=t2,target=ssl:[fd00::1]:6640,physical-network=p2,switch=Arista,ports=h3:Ethernet1/1`
  assert.deepEqual((tors().parse(two) as { ok: object[] }).ok[1], {
    name: 't2',
    target: 'ssl:[fd00::1]:6640',
    physicalNetwork: 'p2',
    switch: 'Arista',
    ports: { h3: 'Ethernet1/1' },
  })
})

test('what is printed is read back', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/)
  const tor = fc.record(
    {
      name: word,
      target: word.map((host) => `tcp:${host}:6640`),
      physicalNetwork: word,
      switch: word,
      ports: fc.dictionary(word, word, { minKeys: 1, noNullPrototype: true }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.uniqueArray(tor, { selector: ({ name }) => name, maxLength: 3 }), (all) => {
      fc.pre(new Set(all.map(({ physicalNetwork }) => physicalNetwork)).size === all.length)
      assert.deepEqual(tors().parse(tors().print(all)), { ok: all })
    }),
  )
})

test('what is no ToR is refused: a word too few, too many, a bad target, the same name or network twice', () => {
  for (const bad of [
    'name=tor1',
    `${text},colour=red`,
    text.replace('tcp:', 'http:'),
    text.replace(';', ','),
    text.replace('name=tor1', 'name='),
    `${text} ${text}`,
    `${text} ${text.replace('name=tor1', 'name=tor2')}`,
    7,
  ])
    assert.ok('must' in tors().parse(bad), String(bad))
})

test('a target with TLS needs our certificate, its key and their authority', () => {
  const secure = text.replace('tcp:', 'ssl:')
  assert.throws(() => loadSettings('server', [`--tor=${secure}`], {}), /tor1 needs tor_tls_certificate/)
  const files = ['--tor-tls-certificate=/c', '--tor-tls-key=/k', '--tor-tls-ca=/a']
  assert.equal(loadSettings('server', [`--tor=${secure}`, ...files], {}).settings.tors[0]?.name, 'tor1')
})
