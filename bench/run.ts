/**
 * `npm run bench [-- api] [--scale N] [--workers N]`: prints tables of figures. Figures of one run compare with each
 * other; between machines, and between quiet and busy hours of one machine, only their ratios do.
 */
import { parseArgs } from 'node:util'
import { benchApi } from './api.ts'
import type { Measured } from './load.ts'
import { startServer } from './server.ts'
import { figures } from './table.ts'

const { values } = parseArgs({
  options: { scale: { type: 'string', default: '1' }, workers: { type: 'string', default: '0' } },
  allowPositionals: true,
})

await using server = await startServer(['--workers', values.workers])
const measured: Measured[] = []
console.log(`server memory at start: ${server.memory().toFixed(0)} MiB`)
await benchApi({
  server,
  scale: Number(values.scale),
  report: (one) => {
    measured.push(one)
    process.stderr.write(`${one.name} ×${one.clients}: p50 ${one.p50.toFixed(2)} ms, ${one.perSecond.toFixed(0)}/s\n`)
  },
})
console.log(figures(measured))
console.log(`\nserver memory at the end, with 10,000 ports: ${server.memory().toFixed(0)} MiB`)
