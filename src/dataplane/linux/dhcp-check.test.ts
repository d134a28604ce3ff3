/** The real dnsmasq says which options it takes, once for each. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createOptionCheck } from './dhcp-check.ts'
import { linuxHost } from './host.ts'

const skip = ['/usr/sbin', '/usr/bin'].some((dir) => existsSync(join(dir, 'dnsmasq')))
  ? false
  : 'needs dnsmasq (apt install dnsmasq-base)'

test('what dnsmasq refuses is found among what it takes, and asked for once', { skip }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'dhcp-check-'))
  let runs = 0
  const counted = {
    ...linuxHost,
    run: (program: string, args: readonly string[]) => (runs++, linuxHost.run(program, args)),
  }
  try {
    const check = createOptionCheck(counted, dir)
    const good = ['option:tftp-server,10.0.0.1', '67,a" \\"#\\" "b', 'option6:bootfile-url,x', 'option:router']
    const bad = ['option:no-such-thing,1', 'option:router,nowhere', 'option6:dns-server,10.0.0.1']
    const mixed = [bad[0], good[0], good[1], bad[1], good[2], good[3], bad[2]] as string[]
    const refused = await check.refused(mixed)
    assert.deepEqual([...refused.keys()].toSorted(), bad.toSorted())
    assert.match(refused.get(bad[1] ?? '') ?? '', /bad IP address/)
    assert.equal(runs, 3)
    const [twice, none] = await Promise.all([check.refused(mixed), check.refused(good)])
    assert.deepEqual([twice.size, none.size, runs], [3, 0, 3])
    assert.equal((await check.refused([])).size, 0)
  } finally {
    rmSync(dir, { recursive: true })
  }
})
