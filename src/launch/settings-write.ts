/** Writes docs/reference/config.md: `node src/launch/settings-write.ts`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { configReference } from './settings-print.ts'

const target = new URL('../../docs/reference/config.md', import.meta.url)
mkdirSync(new URL('.', target), { recursive: true })
writeFileSync(target, configReference())
