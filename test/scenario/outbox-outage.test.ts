/**
 * Nova is down for ten minutes, in each of the ways in which it can be, while its ports come and go: it is asked ever
 * more rarely but never more rarely than the longest pause, and once it is back it hears everything, in the order of
 * each port, within that pause. The clock is the test's, the pauses are the product's.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Access } from '#outbox/service.ts'
import { type NovaStub, novaStub } from '../lib/nova-stub.ts'
import { eventsOf, openAccess, outboxGround, proves, type Rig, serverPort } from '../lib/outbox.ts'
import type { TestServer } from '../lib/server.ts'

const MINUTE = 60_000
const PORTS = 40
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9'

interface Way {
  readonly breaks: (nova: NovaStub) => void
  /** The longest pause: of Nova as a whole; of an event that it refused by itself, and then of Nova. */
  readonly capMs: number
  /** Real milliseconds a request may take. */
  readonly timeoutMs?: number
  readonly nobody?: boolean
}
const WHOLE = 15_000
const EACH = 75_000

const WAYS: Readonly<Record<string, Way>> = {
  'nobody listens': { breaks: () => undefined, nobody: true, capMs: WHOLE },
  'connections break': { breaks: (nova) => void (nova.fault = () => 'break'), capMs: WHOLE },
  'answers are cut': { breaks: (nova) => void (nova.fault = () => 'cut'), capMs: WHOLE },
  'its proxy says 503': { breaks: (nova) => void (nova.fault = () => 503), capMs: WHOLE },
  'the address is wrong, 404': { breaks: (nova) => void (nova.fault = () => 404), capMs: WHOLE },
  'it answers 30 s after the question, if at all': {
    breaks: (nova) => void (nova.delayMs = 500),
    timeoutMs: 10,
    capMs: WHOLE,
  },
  'everything is 500': { breaks: (nova) => void (nova.fault = () => 500), capMs: EACH },
}

let server: TestServer
let rig: Rig
let network: string

before(async () => {
  ;({ server, rig, network } = await outboxGround())
})
after(() => server.close())

/** Leaves out what came again: an event, or a run of them, that was told before. */
function withoutRepetitions(heard: readonly string[], wanted: readonly string[]): string[] {
  const told: string[] = []
  for (const name of heard) if (name === wanted[told.length]) told.push(name)
  return told
}

for (const [name, way] of Object.entries(WAYS))
  test(`${name}, for ten minutes`, async () => {
    await using nova = await novaStub()
    await rig.derive()
    await server.database.query('delete from outbox_events')
    const asked: number[] = []
    let url = way.nobody ? NOWHERE : nova.url
    const access: Access = {
      ...openAccess(nova.url),
      endpoint: async () => {
        asked.push(rig.now())
        return url
      },
    }
    const deliverer = rig.deliverer(rig.nova(nova.url, access), way.timeoutMs)
    const ports: string[] = []
    for (let count = 0; count < PORTS; count++) ports.push((await serverPort(server, network)).port)

    way.breaks(nova)
    const down = rig.now()
    for (const up of [true, false, true, false]) {
      await proves(server, ports, up)
      await rig.derive()
      await rig.settle(deliverer, (10 * MINUTE) / 4)
    }
    const [plugged, unplugged] = ['network-vif-plugged', 'network-vif-unplugged']
    const wanted = [plugged, unplugged, plugged, unplugged] as string[]
    const [backlog] = await rig.queue.backlog()
    assert.equal(backlog?.pending, PORTS * wanted.length, 'nothing is taken for told')
    const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0))
    assert.ok(Math.max(...gaps) <= way.capMs, `left alone for ${Math.max(...gaps)} ms`)
    assert.ok((asked.at(-1) as number) >= down + 10 * MINUTE - way.capMs, 'asked to the end')
    // Pauses double from half a second: 40 of 15 s, half of each drawn; also where each event is refused by itself.
    assert.ok(asked.length <= 120, `asked ${asked.length} times`)

    Object.assign(nova, { fault: null, delayMs: 0 })
    url = nova.url
    const [back, heardBefore] = [rig.now(), nova.taken.length]
    let delivered = false
    // Everything is due once the cap is over; what stands behind it follows at once.
    for (const end = back + way.capMs; !delivered && rig.now() <= end; ) {
      await rig.settle(deliverer, 1000)
      delivered = (await eventsOf(server)).every(({ state }) => state === 'done')
    }
    assert.ok(delivered, `${rig.now() - back} ms after it was back not all was told`)
    for (const port of ports) {
      const heard = nova.taken.filter(({ tag }) => tag === port).map((event) => event.name)
      assert.deepEqual(withoutRepetitions(heard, wanted), wanted, heard.join(' '))
      const later = nova.taken.slice(heardBefore).filter(({ tag }) => tag === port)
      assert.ok(later.length >= 3, 'told after it was back')
    }
  })
