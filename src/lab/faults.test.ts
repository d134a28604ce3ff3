import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseActions } from './faults.ts'

const hosts = ['h1', 'h2']

test('actions are read in order and a star means every host', () => {
  assert.deepEqual(parseActions('agent:*:KILL, wait:1.5,server:TERM', hosts), [
    { on: 'agent', host: 'h1', what: 'KILL' },
    { on: 'agent', host: 'h2', what: 'KILL' },
    { on: 'wait', seconds: 1.5 },
    { on: 'server', what: 'TERM' },
  ])
  assert.deepEqual(parseActions('server:stop,flows:h2:break,ovs:h1:restart', hosts), [
    { on: 'server', what: 'stop' },
    { on: 'flows', host: 'h2', what: 'break' },
    { on: 'ovs', host: 'h1', what: 'restart' },
  ])
})

test('what is no action is answered with a sentence', () => {
  for (const text of [
    '',
    'agent',
    'agent:h1',
    'agent:h1:HUP',
    'agent:h1:KILL:now',
    'server:upgrade',
    'server:stop:now',
    'ovs:h1:KILL',
    'wait:soon',
    'sun:h1:break',
  ])
    assert.match(String(parseActions(text, hosts)), /is not an action/, text)
  assert.match(String(parseActions('agent:h9:KILL', hosts)), /no host 'h9'; there are h1, h2/)
})
