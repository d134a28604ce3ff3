/** The ports of a run: Keystone's, the API's, the agents'. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { checkPort } from '#launch/server-process.ts'

const COUNT = 3

const checkAll = async (first: number): Promise<void> => {
  for (let index = 0; index < COUNT; index++) await checkPort('127.0.0.1', first + index, '--port')
}

/** Ports side by side that nobody uses now; the first of them. */
const freePorts = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return checkAll(port).then(
    () => port,
    () => freePorts(),
  )
}

/**
 * The first of three ports: `asked`, else those of the earlier run in `folder` (Keystone's catalogue there names
 * them), else free ones. Throws a UserError when one is taken.
 */
export const choosePorts = async (asked: number | null, folder: string): Promise<number> => {
  const file = join(folder, 'port')
  const first = asked ?? (existsSync(file) ? Number(readFileSync(file, 'utf8')) : await freePorts())
  await checkAll(first)
  writeFileSync(file, String(first))
  return first
}
