/**
 * `npm run bench [-- api|statements|lab|binding] [--scale N] [--workers N] [--hosts N]`: prints tables of figures; all
 * parts by default, the lab's only as root. `--hosts` are the simulated ones of binding. Figures of one run compare with each other; between machines, and between quiet and busy hours of one machine,
 * only their ratios do.
 */
import { parseArgs } from 'node:util'
import { benchApi } from './api.ts'
import { benchBinding } from './binding.ts'
import { benchLab } from './lab.ts'
import type { Measured } from './load.ts'
import { startServer } from './server.ts'
import { benchStatements } from './statements.ts'
import { figures } from './table.ts'

async function api(scale: number, workers: string): Promise<void> {
  await using server = await startServer(['--workers', workers])
  const measured: Measured[] = []
  const start = server.memory()
  await benchApi({
    server,
    scale,
    report: (one) => {
      measured.push(one)
      process.stderr.write(`${one.name} ×${one.clients}: p50 ${one.p50.toFixed(2)} ms, ${one.perSecond.toFixed(0)}/s\n`)
    },
  })
  console.log(figures(measured))
  console.log(
    `\nserver memory (PSS): ${start.toFixed(0)} MiB at the start, ${server.memory().toFixed(0)} MiB at the end, with 10,000 ports`,
  )
}

const { values, positionals } = parseArgs({
  options: {
    scale: { type: 'string', default: '1' },
    workers: { type: 'string', default: '0' },
    hosts: { type: 'string', default: '500' },
  },
  allowPositionals: true,
})
const [part] = positionals
const isRoot = process.getuid?.() === 0
if (part === undefined || part === 'api') await api(Number(values.scale), values.workers)
if (part === undefined || part === 'statements') console.log(`\n${await benchStatements()}\n`)
if (part === 'lab' || (part === undefined && isRoot)) await benchLab(console.log)
else if (part === undefined) console.log('SKIPPED: the lab part needs root')
if (part === undefined || part === 'binding')
  await benchBinding({
    scale: Number(values.scale),
    workers: values.workers,
    hosts: Number(values.hosts),
    lab: isRoot,
    print: console.log,
  })
