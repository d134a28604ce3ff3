/** Tags of resources: operations, filters, limits, and what they do to the object. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
let owner: Client
before(async () => {
  server = await testServer()
  owner = server.as('tagger')
})
after(() => server.close())

describe('tags', () => {
  test('are added, replaced, looked up and removed, and each change is a revision', async () => {
    const made = await owner.make('network', { name: 'n' })
    const at = `networks/${made['id']}`
    assert.deepEqual(made['tags'], [])
    answered(await owner.put(`${at}/tags/red`, undefined), 201)
    answered(await owner.put(`${at}/tags/red`, undefined), 201)
    answered(await owner.get(`${at}/tags/red`), 204)
    refused(await owner.get(`${at}/tags/blue`), 'TagNotFound')
    assert.deepEqual(answered(await owner.put(`${at}/tags`, { tags: ['a', 'b'] }), 200), { tags: ['a', 'b'] })
    const shown = answered(await owner.get(at), 200).network
    assert.deepEqual(shown.tags, ['a', 'b'])
    assert.equal(shown.revision_number, Number(made['revision_number']) + 2)
    answered(await owner.delete(`${at}/tags/a`), 204)
    refused(await owner.delete(`${at}/tags/a`), 'TagNotFound')
    assert.deepEqual(answered(await owner.get(`${at}/tags`), 200), { tags: ['b'] })
    answered(await owner.delete(`${at}/tags`), 204)
    assert.deepEqual(answered(await owner.get(`${at}/tags`), 200), { tags: [] })
  })

  test('filter lists: all of, any of, not all of, none of', async () => {
    const names = ['none', 'r', 'rg', 'g']
    const sets = [[], ['red'], ['red', 'green'], ['green']]
    for (const [index, name] of names.entries()) {
      const { id } = await owner.make('network', { name: `filter-${name}` })
      answered(await owner.put(`networks/${id}/tags`, { tags: sets[index] }), 200)
    }
    const found = async (query: string): Promise<string[]> => {
      const { networks } = answered(await owner.get(`networks?${query}`), 200)
      return networks
        .map((one: { name: string }) => one.name)
        .filter((name: string) => name.startsWith('filter-'))
        .map((name: string) => name.slice(7))
        .sort()
    }
    assert.deepEqual(await found('tags=red'), ['r', 'rg'])
    assert.deepEqual(await found('tags=red,green'), ['rg'])
    assert.deepEqual(await found('tags-any=red,green'), ['g', 'r', 'rg'])
    assert.deepEqual(await found('not-tags=red,green'), ['g', 'none', 'r'])
    assert.deepEqual(await found('not-tags-any=red,green'), ['none'])
    assert.deepEqual(await found('tags=red&not-tags=green'), ['r'])
  })

  test('are given to ports when they are made, and to nothing else', async () => {
    const network = await owner.make('network', { name: 'n' })
    const port = await owner.make('port', { network_id: network['id'], tags: ['x', 'y'] })
    assert.deepEqual(port['tags'], ['x', 'y'])
    refused(await owner.post('networks', { network: { tags: ['x'] } }), 'HTTPBadRequest')
  })

  test('that are no tags are refused', async () => {
    const { id } = await owner.make('network', { name: 'n' })
    const bodies = [
      { tags: 'a' },
      { tags: ['a', 'a'] },
      { tags: [''] },
      { tags: ['a,b'] },
      { tags: [1] },
      { other: [] },
      {},
    ]
    for (const body of bodies) refused(await owner.put(`networks/${id}/tags`, body), 'HTTPBadRequest')
    const many = Array.from({ length: 51 }, (_, index) => `t${index}`)
    refused(await owner.put(`networks/${id}/tags`, { tags: many }), 'HTTPBadRequest')
    refused(await owner.put(`networks/${id}/tags/a%2Fb`, undefined), 'HTTPBadRequest')
  })

  test('of what one may not see are not there; of what is only shared they are not changed', async () => {
    const stranger = server.as('stranger')
    const { id } = await owner.make('network', { name: 'n' })
    refused(await stranger.get(`networks/${id}/tags`), 'NetworkNotFound')
    refused(await stranger.put(`networks/${id}/tags/a`, undefined), 'NetworkNotFound')
    answered(await server.admin.put(`networks/${id}`, { network: { shared: true } }), 200)
    answered(await stranger.get(`networks/${id}/tags`), 200)
    refused(await stranger.put(`networks/${id}/tags/a`, undefined), 'PolicyNotAuthorized')
  })
})
