/** Empties one ToR of what we wrote into it: `deuteron tor forget` runs it. Says on standard error why it could not. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { clearTor } from '#drivers/mechanism/vtep/clear.ts'

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    switch: { type: 'string' },
    certificate: { type: 'string' },
    'private-key': { type: 'string' },
    'ca-cert': { type: 'string' },
  },
})
const { target = '', switch: name = '', certificate, 'private-key': key, 'ca-cert': ca } = values
const read = (path: string): string => readFileSync(path, 'utf8')
const tls = certificate && key && ca ? { cert: read(certificate), key: read(key), ca: read(ca) } : null

const reason = await clearTor({ connection: { target, ...(tls && { tls }) }, switch: name })
if (reason !== null) {
  console.error(reason)
  process.exitCode = 1
}
