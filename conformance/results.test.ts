/** Results: from packets to rows, and the table of text back to rows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classOf, createGatherer, formatRows, moduleOf, parseRows, type Row, verdictOn } from './results.ts'

const ID = 'tempest.api.network.test_ports.PortsTest.test_show[id-1,smoke](ingress)'
const file = (name: string, content: string) => ({ name, content: Buffer.from(content) })

test('a failed test tells its exception and the details of the answer, and how long it took', () => {
  const gather = createGatherer()
  const traceback = `traceback-1
  File "x.py", line 3, in y
tempest.lib.exceptions.Conflict: Conflict with state of target resource
Details: {'type': 'IpAddressInUse'}
`
  assert.equal(gather({ test: ID, status: 'inprogress', at: 10, file: null }), null)
  for (const piece of [traceback.slice(0, 50), traceback.slice(50)])
    assert.equal(gather({ test: ID, status: null, at: null, file: file('traceback', piece) }), null)
  const finished = gather({ test: ID, status: 'fail', at: 12.5, file: null })
  assert.deepEqual(finished?.row, {
    status: 'fail',
    seconds: 2.5,
    reason:
      "tempest.lib.exceptions.Conflict: Conflict with state of target resource Details: {'type': 'IpAddressInUse'}",
  })
  assert.match(finished?.details ?? '', /File "x.py", line 3/)
})

test('an assertion tells where in the test it stands', () => {
  const traceback = `Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/tempest/api/network/test_ports.py", line 88, in test_show
    self.assertTrue(port['shared'])
  File "/usr/lib/python3.11/unittest/case.py", line 715, in assertTrue
AssertionError: False is not true
`
  const finished = createGatherer()({ test: ID, status: 'fail', at: 1, file: file('traceback', traceback) })
  assert.equal(finished?.row.reason, 'AssertionError: False is not true (test_ports.py:88)')
})

test('a skipped test tells why; one that should have failed and passed has failed', () => {
  const gather = createGatherer()
  const skipped = gather({ test: ID, status: 'skip', at: 1, file: file('reason', 'no  such\textension') })
  assert.deepEqual(skipped?.row, { status: 'skip', seconds: 0, reason: 'no such extension' })
  assert.equal(gather({ test: ID, status: 'uxsuccess', at: 1, file: null })?.row.status, 'fail')
})

test('rows survive being written and read', () => {
  const rows = new Map<string, Row>([
    ['b.C.test', { status: 'fail', seconds: 1.25, reason: 'because' }],
    ['a.C.test', { status: 'success', seconds: 0, reason: '' }],
  ])
  const text = formatRows(rows)
  assert.deepEqual(parseRows(text), rows)
  assert.deepEqual(
    text.split('\n').map((line) => line.split('\t')[0]),
    ['test', 'a.C.test', 'b.C.test', ''],
  )
})

test('a test is judged by its own row, else by what ended its class', () => {
  const inClass: Row = { status: 'skip', seconds: 0, reason: 'class' }
  const own: Row = { status: 'success', seconds: 1, reason: '' }
  assert.equal(classOf(ID), 'tempest.api.network.test_ports.PortsTest')
  assert.equal(moduleOf(ID), 'tempest.api.network.test_ports')
  const setUp = `setUpClass (${classOf(ID)})`
  assert.equal(verdictOn(new Map([[setUp, inClass]]), ID), inClass)
  assert.equal(
    verdictOn(
      new Map([
        [setUp, inClass],
        [ID, own],
      ]),
      ID,
    ),
    own,
  )
  assert.equal(verdictOn(new Map(), ID), null)
})
