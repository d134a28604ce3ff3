/** The command line: dispatches to src/cli and turns what is thrown into an exit code. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dispatch } from '#cli/commands.ts'
import { createOutput } from '#cli/output.ts'
import { UserError } from '#launch/user-error.ts'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }
const out = createOutput(process.env, process.stdout.isTTY === true)

// "deuteron help | head": the reader is gone, and nobody is left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

try {
  process.exitCode = await dispatch(process.argv.slice(2), version, { env: process.env, root, out })
} catch (error) {
  const known = error instanceof UserError
  console.error(
    `${out.paint('red', 'deuteron:')} ${known ? error.message : error instanceof Error ? error.stack : String(error)}`,
  )
  process.exitCode = known ? error.exitCode : 70
}
